#include "ngx/glue/ngx.h"

#include "ngx/fill/upstream_hooks.h"

#include "ngx/fill/clone.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/fill/direct_fill.h"
#include "ngx/fill/interim_responses.h"
#include "ngx/fill/upstream_buffer.h"

namespace slab_cache::ngx {
namespace {

struct UpstreamHooks {
    ngx_event_t event;  // posted: the content handler has made the upstream by then
    ngx_http_request_t* request;
    // nginx's own, as they stand at the moment
    ngx_int_t (*process_header)(ngx_http_request_t* r);
    ngx_int_t (*reinit_request)(ngx_http_request_t* r);
    ngx_http_upstream_handler_pt read_event_handler;
    uint32_t interim_left;
    bool header_read;  // the final one: what is called again waits for the body
};

void clean_hooks(void* data) noexcept {
    auto* hooks = static_cast<UpstreamHooks*>(data);
    if (hooks->event.posted) {
        ngx_delete_posted_event(&hooks->event);
    }
}

// Looked for only while a response's header comes in; subrequests share their main request's pool.
UpstreamHooks* find_hooks(const ngx_http_request_t* r) noexcept {
    for (ngx_pool_cleanup_t* cln = r->pool->cleanup; cln != nullptr; cln = cln->next) {
        if (cln->handler == clean_hooks && static_cast<UpstreamHooks*>(cln->data)->request == r) {
            return static_cast<UpstreamHooks*>(cln->data);
        }
    }
    return nullptr;
}

// The fill that `r` asks the origin for: its internal request, or a client's that fills directly.
Fill* asking_fill(ngx_http_request_t* r) noexcept {
    if (is_clone(r->connection)) {
        return fill_on(r->connection);
    }
    Ctx* ctx = get_ctx(r);
    return ctx != nullptr ? ctx->direct : nullptr;
}

ngx_int_t on_process_header(ngx_http_request_t* r) noexcept;

// Not every module sets its own anew at reinit: proxy's HTTP/2 leaves ours there.
void take_process_header(UpstreamHooks* hooks, const ngx_http_upstream_t* u) noexcept {
    if (u->process_header != on_process_header) {
        hooks->process_header = u->process_header;
    }
}

ngx_int_t own_process_header(ngx_http_request_t* r, UpstreamHooks* hooks) noexcept {
    ngx_http_upstream_t* u = r->upstream;
    u->process_header = hooks->process_header;
    const ngx_int_t rc = u->process_header(r);
    hooks->process_header = u->process_header;  // its next step: status line, then fields
    u->process_header = on_process_header;
    return rc;
}

ngx_int_t own_reinit_request(ngx_http_request_t* r, UpstreamHooks* hooks) noexcept {
    const ngx_int_t rc = hooks->reinit_request(r);
    take_process_header(hooks, r->upstream);
    r->upstream->process_header = on_process_header;
    return rc;
}

ngx_int_t on_process_header(ngx_http_request_t* r) noexcept {
    UpstreamHooks* hooks = find_hooks(r);
    if (hooks == nullptr) {
        return NGX_ERROR;
    }
    while (!hooks->header_read) {
        const ngx_int_t rc = own_process_header(r, hooks);
        if (!is_interim_response(r, rc)) {
            if (rc != NGX_OK) {
                return rc;
            }
            hooks->header_read = true;
            break;
        }
        if (hooks->interim_left == 0) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "slab_cache: upstream sent nothing but interim responses");
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }
        hooks->interim_left--;
        forward_interim(r);
        if (own_reinit_request(r, hooks) != NGX_OK || !forget_interim(r)) {
            return NGX_ERROR;
        }
        if (r->upstream->buffer.pos == r->upstream->buffer.last) {
            return NGX_AGAIN;
        }
    }
    return await_whole(r);
}

// Before the request goes to another peer.
ngx_int_t on_reinit_request(ngx_http_request_t* r) noexcept {
    UpstreamHooks* hooks = find_hooks(r);
    if (hooks == nullptr) {
        return NGX_ERROR;
    }
    hooks->header_read = false;
    return own_reinit_request(r, hooks);
}

void on_first_read(ngx_http_request_t* r, ngx_http_upstream_t* u) noexcept {
    UpstreamHooks* hooks = find_hooks(r);
    Fill* fill = asking_fill(r);
    if (hooks == nullptr || fill == nullptr) {
        return;  // the fill's end ends the upstream first: cannot happen
    }
    const ngx_http_upstream_handler_pt own = hooks->read_event_handler;
    u->read_event_handler = own;
    prepare_buffer(fill);
    own(r, u);
}

bool wants_hooks(ngx_http_request_t* r) noexcept {
    const ngx_http_upstream_t* u = r->upstream;
    return u != nullptr && u->conf != nullptr && (may_send_interim_first(*u) || waits_for_whole(r));
}

void hook_header(UpstreamHooks* hooks) noexcept {
    ngx_http_upstream_t* u = hooks->request->upstream;
    if (!wants_hooks(hooks->request) || u->process_header == nullptr || u->process_header == on_process_header) {
        return;
    }
    hooks->process_header = u->process_header;
    hooks->reinit_request = u->reinit_request;
    u->process_header = on_process_header;
    u->reinit_request = on_reinit_request;
}

void on_upstream_made(ngx_event_t* ev) noexcept { hook_header(static_cast<UpstreamHooks*>(ev->data)); }

// Those of the location that the request was in before are used again.
UpstreamHooks* hooks_of(ngx_http_request_t* r) noexcept {
    UpstreamHooks* hooks = find_hooks(r);
    if (hooks != nullptr) {
        return hooks;
    }
    ngx_pool_cleanup_t* cln = ngx_pool_cleanup_add(r->pool, sizeof(UpstreamHooks));
    if (cln == nullptr) {
        return nullptr;
    }
    hooks = static_cast<UpstreamHooks*>(cln->data);
    ngx_memzero(hooks, sizeof(*hooks));
    cln->handler = clean_hooks;
    hooks->request = r;
    hooks->event.handler = on_upstream_made;
    hooks->event.data = hooks;
    hooks->event.log = r->connection->log;
    return hooks;
}

void expect_header(UpstreamHooks* hooks) noexcept {
    hooks->interim_left = kMostInterim;
    hooks->header_read = false;
}

}  // namespace

void hook_upstream_later(ngx_http_request_t* r) noexcept {
    UpstreamHooks* hooks = hooks_of(r);
    if (hooks == nullptr) {
        return;
    }
    expect_header(hooks);
    if (!hooks->event.posted) {
        ngx_post_event(&hooks->event, &ngx_posted_events);
    }
}

void hook_upstream(ngx_http_request_t* r) noexcept {
    if (!wants_hooks(r)) {
        return;
    }
    if (UpstreamHooks* hooks = hooks_of(r)) {
        expect_header(hooks);
        hook_header(hooks);
    }
}

void hook_first_read(Fill* fill) noexcept {
    ngx_http_upstream_t* u = fill->request->upstream;
    if (u == nullptr || u->read_event_handler == nullptr || u->read_event_handler == on_first_read ||
        !may_enlarge_buffer(*u)) {
        return;
    }
    if (UpstreamHooks* hooks = hooks_of(fill->request)) {
        hooks->read_event_handler = u->read_event_handler;
        u->read_event_handler = on_first_read;
    }
}

}  // namespace slab_cache::ngx
