#include "ngx/glue/ngx.h"

#include "ngx/answer/serve_growing.h"

#include "ngx/glue/client_io.h"
#include "ngx/answer/first_piece.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/fill/rest_of_body.h"
#include "ngx/answer/relay.h"
#include "ngx/answer/spool.h"
#include "ngx/request/sliced_request.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kSegmentsPerTurn = 32;
const ngx_buf_tag_t kTag = reinterpret_cast<ngx_buf_tag_t>(&ngx_http_slab_cache_module);

enum class Growth : uint8_t { kMore, kComplete, kBroken, kWait };

bool is_spooled(const Ctx* ctx) noexcept { return ctx->object == ObjectAt::kSpooled; }

bool has_all(const Ctx* ctx) noexcept { return ctx->sending.offset >= end_of_answer(ctx); }

// There is a beginning of the body, too short for the filter that waits for it.
bool wants_longer_first_piece(const Ctx* ctx, uint64_t available) noexcept {
    return ctx->sending.offset == 0 && available < kFirstPiece && is_header_held(ctx->request);
}

// What the object has for us beyond what was handed out.
Growth look(Ctx* ctx) noexcept {
    if (has_all(ctx)) {
        return Growth::kComplete;
    }
    // Watch first, look after: a change in between wakes us (shm/store.h, lease_watch).
    shm::LeaseView view;
    const bool leased = static_cast<bool>(ctx->ticket);
    if (leased) {
        view = ctx->zone->store.lease_watch(ctx->ticket, now_ms(), static_cast<uint32_t>(ctx->conf->lock_age));
    }
    // Completeness before length: what is complete cannot grow any more.
    const bool complete = shm::Store::is_complete(ctx->pin);
    const uint64_t available = shm::Store::body_available(ctx->pin);
    if (available > ctx->sending.offset && (complete || !wants_longer_first_piece(ctx, available))) {
        return Growth::kMore;
    }
    if (complete) {
        return Growth::kComplete;
    }
    if (ctx->fill != nullptr) {
        return Growth::kWait;  // our own fill: it posts us
    }
    if (leased && (view.state == shm::LeaseState::kFetching || view.state == shm::LeaseState::kStreaming)) {
        return Growth::kWait;
    }
    // An owner who pauses for longer than lock_age may be overtaken, and its object grows on for those who read it; nobody
    // tells them of it then, they look again and again.
    const bool paused =
        view.state == shm::LeaseState::kGone || (view.state == shm::LeaseState::kSilent && view.detail == 0);
    if (leased && paused && shm::Store::is_filling(ctx->pin)) {
        return Growth::kWait;
    }
    // The fill is over; it may have completed the object between the two looks.
    const bool completed = shm::Store::is_complete(ctx->pin);
    if (shm::Store::body_available(ctx->pin) > ctx->sending.offset && (completed || ctx->from_fill.relay == nullptr)) {
        return Growth::kMore;
    }
    return completed ? Growth::kComplete : Growth::kBroken;
}

ngx_chain_t* pieces(ngx_http_request_t* r, Ctx* ctx) noexcept {
    shm::Segment segment[kSegmentsPerTurn];
    const uint32_t n =
        ctx->zone->store.segments(ctx->pin, ctx->sending.offset, &ctx->sending.cursor, segment, kSegmentsPerTurn);
    ngx_chain_t* out = nullptr;
    ngx_chain_t** last = &out;
    for (uint32_t i = 0; i < n; i++) {
        ngx_chain_t* link = ngx_chain_get_free_buf(r->pool, &ctx->sending.free);
        if (link == nullptr) {
            return nullptr;
        }
        ngx_buf_t* b = link->buf;
        ngx_memzero(b, sizeof(*b));
        b->start = b->pos = reinterpret_cast<u_char*>(const_cast<char*>(segment[i].data));
        b->end = b->last = b->pos + segment[i].len;
        b->memory = 1;
        b->tag = kTag;
        b->flush = i + 1 == n;
        ctx->sending.offset += segment[i].len;
        *last = link;
        last = &link->next;
    }
    return out;
}

// What is written to a file does not wait for the client. Where it cannot be, the rest comes from the zone.
ngx_chain_t* next_chain(ngx_http_request_t* r, Ctx* ctx) noexcept {
    ngx_chain_t* out = pieces(r, ctx);
    if (is_spooled(ctx) && out != nullptr && !spool(r, ctx, &out)) {
        ctx->object = ObjectAt::kZone;
        ctx->zone->store.hold(ctx->pin);
    }
    return out;
}

// All of it is with the socket: a client who reads slowly holds one part of a file at a time, not all that it has read.
void release_part(Ctx* ctx) noexcept {
    if (!ctx->part.is_subrequest() || !ctx->pin) {
        return;
    }
    ngx_chain_t* none = nullptr;
    ngx_chain_update_chains(ctx->request->pool, &ctx->sending.free, &ctx->sending.busy, &none, kTag);
    if (ctx->sending.busy == nullptr) {
        release_object(ctx);  // its head was copied (serve.cpp)
    }
}

void finish(ngx_http_request_t* r, Ctx* ctx, ngx_int_t rc) noexcept {
    ngx_connection_t* c = r->connection;
    set_step(ctx, Step::kAnswered);
    release_part(ctx);
    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}

void on_writable(ngx_http_request_t* r) noexcept;

// It is the main request that the client's pace holds up, or the part of a file whose turn it is.
bool waits_for_socket(const ngx_http_request_t* r, const Ctx* ctx) noexcept {
    return r == r->main || (ctx->part.is_subrequest() && has_socket(r));
}

// The client's socket is full: nginx's own way of waiting for it. False: the request has ended.
bool wait_writable(ngx_http_request_t* r, Ctx* ctx) noexcept {
    ngx_event_t* wev = r->connection->write;
    ngx_http_core_loc_conf_t* clcf = core_loc_conf(r);
    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }
    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        finish(r, ctx, NGX_ERROR);
        return false;
    }
    return true;
}

// While the object does not grow. Only from a file there may be more to send: nobody else waits for a full socket here.
// False: the request has ended.
bool watch_client(ngx_http_request_t* r, Ctx* ctx) noexcept {
    ngx_event_t* wev = r->connection->write;
    if (is_spooled(ctx) && is_socket_full(r)) {
        return wev->timer_set || wait_writable(r, ctx);
    }
    stop_send_timeout(r);
    return true;
}

ngx_int_t send(ngx_http_request_t* r, Ctx* ctx, ngx_chain_t* out) noexcept {
    const ngx_int_t rc = ngx_http_output_filter(r, out);
    ngx_chain_update_chains(r->pool, &ctx->sending.free, &ctx->sending.busy, &out, kTag);
    return rc;
}

// The rest comes by relay: the object outgrew the cache after its head was stored (clone_fill.h).
bool goes_on_by_relay(Ctx* ctx) noexcept { return ctx->from_fill.relay != nullptr; }

void go_on_by_relay(ngx_http_request_t* r, Ctx* ctx) noexcept {
    // A first piece may have been kept back for being short.
    const bool has_more = shm::Store::body_available(ctx->pin) > ctx->sending.offset;
    ngx_chain_t* rest = has_more ? next_chain(r, ctx) : nullptr;
    if (has_more && rest == nullptr) {
        finish(r, ctx, NGX_ERROR);
        return;
    }
    start_relay_body(r, ctx, rest);
}

void run(ngx_http_request_t* r, Ctx* ctx) noexcept {
    for (;;) {
        if (is_behind_subrequests(r)) {
            return;
        }
        if (is_socket_full(r) && waits_for_socket(r, ctx) && !is_spooled(ctx)) {
            (void) wait_writable(r, ctx);
            return;
        }
        switch (look(ctx)) {
        case Growth::kMore: {
            ngx_chain_t* out = join_first_piece(r, next_chain(r, ctx));
            if (out == nullptr || send(r, ctx, out) == NGX_ERROR) {
                finish(r, ctx, NGX_ERROR);
                return;
            }
            continue;
        }
        case Growth::kComplete:
            if (is_spooled(ctx)) {
                release_object(ctx);
            }
            finish(r, ctx, ngx_http_send_special(r, NGX_HTTP_LAST));
            return;
        case Growth::kBroken:
            if (goes_on_by_relay(ctx)) {
                go_on_by_relay(r, ctx);
                return;
            }
            if (fetch_rest(ctx)) {
                continue;
            }
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "slab_cache: the fill failed while its response was being sent");
            r->keepalive = 0;
            (void) ngx_http_send_special(r, NGX_HTTP_FLUSH);  // what there was, as nginx does
            finish(r, ctx, NGX_ERROR);
            return;
        case Growth::kWait:
            if (goes_on_by_relay(ctx)) {
                go_on_by_relay(r, ctx);
                return;
            }
            if (is_header_waiting(r) && ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR) {
                finish(r, ctx, NGX_ERROR);  // the header goes at once, even if the body takes its time
                return;
            }
            if (waits_for_socket(r, ctx) && !watch_client(r, ctx)) {
                return;
            }
            wait_for(&ctx->waiter, ctx->ticket, kSafetyNetMs);
            return;
        }
    }
}

void on_writable(ngx_http_request_t* r) noexcept {
    Ctx* ctx = get_ctx(r);
    ngx_connection_t* c = r->connection;
    ngx_event_t* wev = c->write;
    if (ctx == nullptr) {
        return;
    }
    if (wev->timedout && waits_for_socket(r, ctx)) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT, "client timed out");
        c->timedout = 1;
        finish(r, ctx, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }
    if (wev->delayed || r->aio) {
        (void) wait_writable(r, ctx);
        return;
    }
    if (is_spooled(ctx) && wev->timer_set) {
        ngx_del_timer(wev);  // it has taken something
    }
    if (is_socket_full(r) || r->buffered != 0) {
        if (send(r, ctx, nullptr) == NGX_ERROR) {
            finish(r, ctx, NGX_ERROR);
            return;
        }
    }
    run(r, ctx);
}

}  // namespace

uint64_t end_of_answer(const Ctx* ctx) noexcept {
    if (ctx->part.is_asked()) {
        return end_within_part(ctx);
    }
    const auto& out = ctx->request->headers_out;
    return out.status == NGX_HTTP_PARTIAL_CONTENT && out.content_length_n >= 0
               ? static_cast<uint64_t>(out.content_offset + out.content_length_n)
               : UINT64_MAX;
}

ngx_int_t start_stream(ngx_http_request_t* r, Ctx* ctx) noexcept {
    r->main->count++;
    set_step(ctx, Step::kStreaming);
    r->write_event_handler = on_writable;
    if (r == r->main || ctx->part.is_subrequest()) {
        r->read_event_handler = ngx_http_test_reading;
    }
    // From an event of its own: this call stack still belongs to the content phase.
    post_waiter(&ctx->waiter);
    return NGX_DONE;
}

void resume_stream(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    ngx_http_set_log_request(r->connection->log, r);
    run(r, ctx);
}

}  // namespace slab_cache::ngx
