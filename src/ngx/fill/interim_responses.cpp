#include "ngx/glue/ngx.h"

#include "ngx/fill/interim_responses.h"

#include "http/interim.h"
#include "ngx/fill/clone.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/glue/write_interim.h"
#include "ngx/request/cache_key.h"

namespace slab_cache::ngx {

namespace {

// Who is waiting for this response at first hand; nullptr when nobody can be sent a 1xx.
ngx_http_request_t* reader_of(ngx_http_request_t* r) noexcept {
    if (is_clone(r->connection)) {
        const CloneFill* fill = fill_of(r);
        if (fill == nullptr || fill->request != r || fill->leader == nullptr) {
            return nullptr;
        }
        r = fill->leader->request;
    }
    const bool can = r == r->main && !r->header_sent && r->http_version == NGX_HTTP_VERSION_11 && !r->connection->error;
    return can ? r : nullptr;
}

bool goes_on(const ngx_http_upstream_t& u, const ngx_table_elt_t& h, const http::Fields& fields) noexcept {
    return h.hash != 0 && h.value.data != nullptr && http::is_forwarded_interim_field(view(h.key), fields) &&
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

}  // namespace

bool may_send_interim_first(const ngx_http_upstream_t& u) noexcept { return view(u.conf->module) == "proxy"; }

bool is_interim_response(ngx_http_request_t* r, ngx_int_t rc) noexcept {
    const ngx_http_upstream_t* u = r->upstream;
    if ((rc != NGX_OK && !is_early_hints(rc)) || !is_http1(*u) || !may_send_interim_first(*u)) {
        return false;
    }
#if (NGX_HTTP_CACHE)
    if (r->cache != nullptr) {
        return false;  // a proxy_cache below us has its own header at the buffer's start
    }
#endif
    return http::is_interim_status(static_cast<uint16_t>(u->headers_in.status_n));
}

void forward_interim(ngx_http_request_t* r) noexcept {
    ngx_http_upstream_t* u = r->upstream;
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0, "slab_cache: interim response %ui",
                   u->headers_in.status_n);
    ngx_http_request_t* to = reader_of(r);
    if (to == nullptr || !may_send_interim(to) ||
        !http::is_forwarded_interim(static_cast<uint16_t>(u->headers_in.status_n))) {
        return;
    }
    if (ngx_buf_t* b = interim_head(to, u)) {
        write_interim(to, b);
    }
}

bool forget_interim(ngx_http_request_t* r) noexcept {
    ngx_http_upstream_t* u = r->upstream;
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

}  // namespace slab_cache::ngx
