#include "ngx/glue/ngx.h"

#include "ngx/answer/relay.h"

#include "ngx/answer/first_piece.h"
#include "ngx/glue/client_io.h"
#include "ngx/fill/relay_queue.h"
#include "ngx/request/response_header.h"

namespace slab_cache::ngx {

namespace {

void finish(ngx_http_request_t* r, Ctx* ctx, ngx_int_t rc) noexcept {
    ngx_connection_t* c = r->connection;
    set_step(ctx, Step::kAnswered);
    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}

// There is a beginning of the body, too short for the filter that waits for it.
bool wants_longer_first_piece(const ngx_http_request_t* r, const Relay* relay) noexcept {
    return is_header_held(r) && !relay->ended && relay->queue != nullptr && chain_bytes(relay->queue) < kFirstPiece;
}

// What is queued, or what nginx still has, goes on its way.
ngx_int_t send_queue(ngx_http_request_t* r, Relay* relay) noexcept {
    ngx_chain_t* out = relay->queue;
    relay->queue = nullptr;
    relay->queue_end = &relay->queue;
    if (out != nullptr && !relay->ended) {
        for (ngx_chain_t* cl = out; cl != nullptr; cl = cl->next) {
            cl->buf->flush = cl->next == nullptr;
        }
    }
    if (out != nullptr && (out = join_first_piece(r, out)) == nullptr) {
        return NGX_ERROR;
    }
    const ngx_int_t rc = ngx_http_output_filter(r, out);
    ngx_chain_update_chains(r->pool, &relay->free, &relay->busy, &out, kRelayTag);
    relay->queued = chain_bytes(relay->busy);
    return rc;
}

void send_more(ngx_http_request_t* r, Ctx* ctx) noexcept {
    Relay* relay = ctx->from_fill.relay;
    for (;;) {
        if (is_behind_subrequests(r)) {
            return;
        }
        const bool has_some = relay->queue != nullptr || is_socket_full(r) || r->buffered != 0;
        if (has_some && !wants_longer_first_piece(r, relay) && send_queue(r, relay) == NGX_ERROR) {
            finish(r, ctx, NGX_ERROR);
            return;
        }
        if (is_socket_full(r) && has_socket(r)) {
            ngx_http_core_loc_conf_t* clcf = core_loc_conf(r);
            ngx_event_t* wev = r->connection->write;
            if (!wev->delayed) {
                ngx_add_timer(wev, clcf->send_timeout);
            }
            if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
                finish(r, ctx, NGX_ERROR);
            }
            return;
        }
        if (has_socket(r) && r->connection->write->timer_set && !r->connection->write->delayed) {
            ngx_del_timer(r->connection->write);
        }
        if (relay->ended) {
            if (relay->whole) {
                finish(r, ctx, ngx_http_send_special(r, NGX_HTTP_LAST));
            } else {
                r->keepalive = 0;
                (void) ngx_http_send_special(r, NGX_HTTP_FLUSH);  // what there was, as nginx does
                finish(r, ctx, NGX_ERROR);
            }
            return;
        }
        if (is_header_waiting(r) && ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR) {
            finish(r, ctx, NGX_ERROR);  // the header goes at once, even if the body takes its time
            return;
        }
        if (ctx->fill != nullptr && ctx->fill->pending != nullptr) {
            if (relay->queued >= relay->bound / 2) {
                relay->bound = relay->queued + kRelayQueueBytes;  // no socket holds it: some filter wants more
            }
            continue_fill(ctx->fill);
        }
        wait_for(&ctx->waiter, {}, kSafetyNetMs);
        return;
    }
}

void on_writable(ngx_http_request_t* r) noexcept {
    Ctx* ctx = get_ctx(r);
    ngx_connection_t* c = r->connection;
    if (ctx == nullptr || ctx->from_fill.relay == nullptr) {
        return;
    }
    if (c->write->timedout && has_socket(r)) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT, "client timed out");
        c->timedout = 1;
        finish(r, ctx, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }
    send_more(r, ctx);
}

void put_in_front(Relay* relay, ngx_chain_t* front) noexcept {
    if (front == nullptr) {
        return;
    }
    ngx_chain_t* tail = front;
    while (tail->next != nullptr) {
        tail = tail->next;
    }
    tail->next = relay->queue;
    if (relay->queue == nullptr) {
        relay->queue_end = &tail->next;
    }
    relay->queue = front;
}

}  // namespace

ngx_int_t relay_handler(ngx_http_request_t* r) noexcept {
    Ctx* ctx = get_ctx(r);
    set_step(ctx, Step::kAnswered);
    const ngx_int_t discard = ngx_http_discard_request_body(r);
    if (discard != NGX_OK) {
        return discard;
    }
    // The fill asked for the whole; the client's own conditions and range are answered here, by nginx's filters.
    const auto& out = r->headers_out;
    r->allow_ranges =
        range_allowed(r, {out.etag != nullptr ? view(out.etag->value) : Bytes{},
                          out.last_modified != nullptr ? view(out.last_modified->value) : Bytes{}, wall_sec()});
    r->single_range = 1;
    const ngx_int_t rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only || r->filter_finalize) {
        return rc;  // filter_finalize: a filter has answered with an error page, of which NGX_AGAIN is left
    }
    ctx->from_fill.relay->header_sent = true;
    set_step(ctx, Step::kRelaying);
    r->main->count++;
    r->write_event_handler = on_writable;
    if (r == r->main) {
        r->read_event_handler = ngx_http_test_reading;
    }
    post_waiter(&ctx->waiter);
    return NGX_DONE;
}

void resume_relay(Ctx* ctx) noexcept {
    ngx_http_set_log_request(ctx->request->connection->log, ctx->request);
    send_more(ctx->request, ctx);
}

void start_relay_body(ngx_http_request_t* r, Ctx* ctx, ngx_chain_t* front) noexcept {
    put_in_front(ctx->from_fill.relay, front);
    set_step(ctx, Step::kRelaying);
    r->write_event_handler = on_writable;
    send_more(r, ctx);
}

}  // namespace slab_cache::ngx
