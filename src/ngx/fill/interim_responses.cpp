#include "ngx/glue/ngx.h"

#include "ngx/fill/interim_responses.h"

#include "http/interim.h"
#include "ngx/fill/clone.h"
#include "ngx/fill/direct_fill.h"
#include "ngx/fill/fill.h"
#include "ngx/glue/interim.h"
#include "ngx/request/cache_key.h"

namespace slab_cache::ngx {

namespace {

constexpr uint32_t kMostInterim = 100;

struct Interim {
    ngx_event_t event;  // posted: the content handler has made the upstream by then
    ngx_http_request_t* request;
    ngx_int_t (*process_header)(ngx_http_request_t* r);  // nginx's, as it stands at the moment
    ngx_int_t (*reinit_request)(ngx_http_request_t* r);
    uint32_t left;
    bool header_read;   // the final one: what is called again waits for the body (direct_fill.h)
};

void clean_interim(void* data) noexcept {
    auto* interim = static_cast<Interim*>(data);
    if (interim->event.posted) {
        ngx_delete_posted_event(&interim->event);
    }
}

// Looked for only while a response's header comes in; subrequests share their main request's pool.
Interim* find_interim(const ngx_http_request_t* r) noexcept {
    for (ngx_pool_cleanup_t* cln = r->pool->cleanup; cln != nullptr; cln = cln->next) {
        if (cln->handler == clean_interim && static_cast<Interim*>(cln->data)->request == r) {
            return static_cast<Interim*>(cln->data);
        }
    }
    return nullptr;
}

// Who is waiting for this response at first hand; nullptr when nobody can be sent a 1xx.
ngx_http_request_t* reader_of(ngx_http_request_t* r) noexcept {
    if (is_clone(r->connection)) {
        const Fill* fill = fill_of(r);
        if (fill == nullptr || fill->request != r || fill->leader == nullptr) {
            return nullptr;
        }
        r = fill->leader->request;
    }
    const bool can = r == r->main && !r->header_sent && r->http_version == NGX_HTTP_VERSION_11 &&
                     !r->connection->error;
    return can ? r : nullptr;
}

bool goes_on(const ngx_http_upstream_t& u, const ngx_table_elt_t& h,
             const http::Fields& fields) noexcept {
    return h.hash != 0 && h.value.data != nullptr &&
           http::is_forwarded_interim_field(view(h.key), fields) &&
           ngx_hash_find(&u.conf->hide_headers_hash, h.hash, h.lowcase_key, h.key.len) == nullptr;
}

ngx_buf_t* interim_head(ngx_http_request_t* to, ngx_http_upstream_t* u) noexcept {
    const http::Fields fields = list_fields(to->pool, &u->headers_in.headers, 0, nullptr);
    size_t size = sizeof("HTTP/1.1 \r\n\r\n") + u->headers_in.status_line.len;
    each_header(u->headers_in.headers, [&](ngx_table_elt_t& h) {
        size += h.key.len + h.value.len + sizeof(": \r\n");
        return true;
    });
    ngx_buf_t* b = ngx_create_temp_buf(to->pool, size);
    if (b == nullptr) {
        return nullptr;
    }
    b->last = ngx_sprintf(b->last, "HTTP/1.1 %V\r\n", &u->headers_in.status_line);
    each_header(u->headers_in.headers, [&](ngx_table_elt_t& h) {
        if (goes_on(*u, h, fields)) {
            b->last = ngx_sprintf(b->last, "%V: %V\r\n", &h.key, &h.value);
        }
        return true;
    });
    *b->last++ = '\r';
    *b->last++ = '\n';
    b->flush = 1;
    return b;
}

void forward(ngx_http_request_t* r, ngx_http_upstream_t* u) noexcept {
    ngx_http_request_t* to = reader_of(r);
    if (to == nullptr || !may_send_interim(to) ||
        !http::is_forwarded_interim(static_cast<uint16_t>(u->headers_in.status_n))) {
        return;
    }
    if (ngx_buf_t* b = interim_head(to, u)) {
        write_interim(to, b);
    }
}

ngx_int_t process_header(ngx_http_request_t* r) noexcept;

// Not every module sets its own anew: proxy's HTTP/2 leaves ours there.
void take_process_header(Interim* interim, const ngx_http_upstream_t* u) noexcept {
    if (u->process_header != process_header) {
        interim->process_header = u->process_header;
    }
}

// As ngx_http_upstream_reinit() does for another peer, but the rest of what was read stays.
bool start_over(ngx_http_request_t* r, Interim* interim) noexcept {
    ngx_http_upstream_t* u = r->upstream;
    if (interim->reinit_request(r) != NGX_OK) {
        return false;
    }
    take_process_header(interim, u);
    u->keepalive = 0;
    ngx_memzero(&u->headers_in, sizeof(u->headers_in));
    u->headers_in.content_length_n = -1;
    u->headers_in.last_modified_time = -1;
    if (ngx_list_init(&u->headers_in.headers, r->pool, 8, sizeof(ngx_table_elt_t)) != NGX_OK ||
        ngx_list_init(&u->headers_in.trailers, r->pool, 2, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return false;
    }
    if (u->state != nullptr) {
        u->state->status = 0;  // $upstream_status is the final one
    }
    const auto rest = static_cast<size_t>(u->buffer.last - u->buffer.pos);
    ngx_memmove(u->buffer.start, u->buffer.pos, rest);  // the final header may need all the room
    u->buffer.pos = u->buffer.start;
    u->buffer.last = u->buffer.start + rest;
    return true;
}

// The other protocols have no interim responses of their own.
bool is_interim(ngx_http_request_t* r) noexcept {
    if (view(r->upstream->conf->module) != "proxy") {
        return false;
    }
#if (NGX_HTTP_CACHE)
    if (r->cache != nullptr) {
        return false;  // a proxy_cache below us has its own header at the buffer's start
    }
#endif
    return http::is_interim_status(static_cast<uint16_t>(r->upstream->headers_in.status_n));
}

ngx_int_t process_header(ngx_http_request_t* r) noexcept {
    Interim* interim = find_interim(r);
    ngx_http_upstream_t* u = r->upstream;
    if (interim == nullptr) {
        return NGX_ERROR;
    }
    while (!interim->header_read) {
        u->process_header = interim->process_header;
        const ngx_int_t rc = u->process_header(r);
        interim->process_header = u->process_header;  // its next step: status line, then fields
        u->process_header = process_header;
        if ((rc != NGX_OK && !is_early_hints(rc)) || !is_http1(*u) || !is_interim(r)) {
            if (rc != NGX_OK) {
                return rc;
            }
            interim->header_read = true;
            break;
        }
        if (interim->left == 0) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "slab_cache: upstream sent nothing but interim responses");
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }
        interim->left--;
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "slab_cache: interim response %ui", u->headers_in.status_n);
        forward(r, u);
        const bool ok = start_over(r, interim);
        u->process_header = process_header;
        if (!ok) {
            return NGX_ERROR;
        }
        if (u->buffer.pos == u->buffer.last) {
            return NGX_AGAIN;
        }
    }
    return await_whole(r);
}

// Before the request goes to another peer.
ngx_int_t reinit_request(ngx_http_request_t* r) noexcept {
    Interim* interim = find_interim(r);
    if (interim == nullptr) {
        return NGX_ERROR;
    }
    const ngx_int_t rc = interim->reinit_request(r);
    take_process_header(interim, r->upstream);
    r->upstream->process_header = process_header;
    interim->header_read = false;
    return rc;
}

bool wants_hooks(ngx_http_request_t* r) noexcept {
    const ngx_http_upstream_t* u = r->upstream;
    return u != nullptr && u->conf != nullptr && (view(u->conf->module) == "proxy" || waits_for_whole(r));
}

void on_upstream_made(ngx_event_t* ev) noexcept {
    auto* interim = static_cast<Interim*>(ev->data);
    ngx_http_upstream_t* u = interim->request->upstream;
    if (u == nullptr || !wants_hooks(interim->request) || u->process_header == nullptr
        || u->process_header == process_header) {
        return;
    }
    interim->process_header = u->process_header;
    interim->reinit_request = u->reinit_request;
    u->process_header = process_header;
    u->reinit_request = reinit_request;
}

Interim* make_interim(ngx_http_request_t* r) noexcept {
    Interim* interim = find_interim(r);  // of the location that the request was in before
    if (interim == nullptr) {
        ngx_pool_cleanup_t* cln = ngx_pool_cleanup_add(r->pool, sizeof(Interim));
        if (cln == nullptr) {
            return nullptr;
        }
        interim = static_cast<Interim*>(cln->data);
        ngx_memzero(interim, sizeof(*interim));
        cln->handler = clean_interim;
        interim->request = r;
        interim->event.handler = on_upstream_made;
        interim->event.data = interim;
        interim->event.log = r->connection->log;
    }
    interim->left = kMostInterim;
    interim->header_read = false;
    return interim;
}

}  // namespace

void expect_interim(ngx_http_request_t* r) noexcept {
    Interim* interim = make_interim(r);
    if (interim != nullptr && !interim->event.posted) {
        ngx_post_event(&interim->event, &ngx_posted_events);
    }
}

void arm_interim(ngx_http_request_t* r) noexcept {
    if (!wants_hooks(r)) {
        return;
    }
    if (Interim* interim = make_interim(r)) {
        on_upstream_made(&interim->event);
    }
}

}  // namespace slab_cache::ngx
