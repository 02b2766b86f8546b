#include "ngx/glue/ngx.h"

#include "ngx/fill/direct_fill.h"

#include "ngx/fill/capture.h"
#include "ngx/fill/origin_controls.h"
#include "ngx/request/controls.h"
#include "ngx/fill/copy_in_passing.h"
#include "ngx/request/accounting.h"
#include "ngx/conf/credentials.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/fill/passing_post.h"
#include "ngx/request/response_header.h"
#include "ngx/request/identity.h"
#include "ngx/fill/upstream_hooks.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/hit_for_miss.h"
#include "ngx/fill/origin_response.h"
#include "ngx/fill/store_object.h"
#include "ngx/fill/tier_visit.h"
#include "ngx/fill/tier_write.h"
#include "ngx/fill/upstream_buffer.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kMostNeeded = 1U << 16;

// With one of these the answer would be to this client alone; a clone leaves them out (clone.cpp).
bool shapes_answer(const ngx_http_headers_in_t& in) noexcept {
    return in.range != nullptr || in.if_range != nullptr || in.if_match != nullptr || in.if_none_match != nullptr ||
           in.if_modified_since != nullptr || in.if_unmodified_since != nullptr || in.expect != nullptr ||
           in.content_length != nullptr || in.transfer_encoding != nullptr || in.te != nullptr || in.upgrade != nullptr;
}

// Those of an answer that redirected here are this client's, and no part of what is stored.
bool has_fields(const ngx_http_headers_out_t& out) noexcept {
    return out.headers.part.nelts != 0 || out.content_type.len != 0;
}

// What was sent to the origin begins like a GET of HTTP/1: not with the preface of proxy_http_version 2, nor with the HEAD
// of a proxy_method.
bool is_plain_get(const ngx_chain_t* sent) noexcept {
    static constexpr Bytes kGet = "GET ";
    if (sent == nullptr || sent->buf->start == nullptr) {
        return false;
    }
    const Bytes all{reinterpret_cast<char*>(sent->buf->start), static_cast<size_t>(sent->buf->end - sent->buf->start)};
    return base::slice(all, 0, kGet.size()) == kGet;
}

// Its body is what follows the header, byte for byte.
bool is_plain_protocol(const ngx_http_upstream_t& u) noexcept {
    const Bytes module = view(u.conf->module);
    return module == "proxy" ? is_plain_get(u.request_bufs) : module == "uwsgi" || module == "scgi";
}

// What follows the header; -1: nobody knows. The length that a 204 or a 304 names is not it.
off_t body_length(const ngx_http_upstream_t& u) noexcept {
    return has_no_body(u.headers_in.status_n) || u.headers_in.status_n == NGX_HTTP_NOT_MODIFIED
               ? 0
               : u.headers_in.content_length_n;
}

// The header has been read: the body will lie behind it in the same buffer, and can be taken from there as it is.
bool fits_buffer(const ngx_http_request_t* r) noexcept {
    const ngx_http_upstream_t* u = r->upstream;
    if (u == nullptr || u->conf == nullptr || !u->buffering || u->cacheable || u->store || u->upgrade ||
        u->conf->intercept_errors || u->buffer.start == nullptr || !is_plain_protocol(*u) || u->headers_in.chunked) {
        return false;
    }
#if (NGX_HTTP_CACHE)
    if (r->cache != nullptr) {
        return false;  // a proxy_cache below us: what lies in the buffer may come from its file
    }
#endif
    const off_t length = body_length(*u);
    return length >= 0 && length <= static_cast<off_t>(u->buffer.end - u->buffer.pos);
}

// All of the body is there, and nothing behind it.
bool is_whole(const ngx_http_request_t* r) noexcept {
    return fits_buffer(r) &&
           body_length(*r->upstream) == static_cast<off_t>(r->upstream->buffer.last - r->upstream->buffer.pos) &&
           r->headers_out.content_length_n == r->upstream->headers_in.content_length_n;
}

void settle(DirectFill* fill) noexcept {
    if (fill->phase == DirectPhase::kAsking) {
        set_phase(fill, DirectPhase::kAnswered);
        fill->zone->fills--;
    }
}

// Nobody else wants the rest: as without a cache, a client that hangs up ends it.
void watch_client_again(DirectFill* fill) noexcept {
    if (fill->watch_client != nullptr && fill->request->upstream->cleanup != nullptr) {
        fill->request->read_event_handler = fill->watch_client;
    }
}

void count_answered(Ctx* ctx) noexcept {
    if (ctx->is_passing) {
        count_passed_answer(ctx);
    } else {
        count_served(ctx);
    }
}

void refuse(Ctx* ctx, http::Reason reason) noexcept {
    watch_client_again(ctx->direct);
    ctx->reason = reason;
    if (!ctx->is_passing) {  // else it was counted when it went, and the mark that it goes under runs out
        note_refusal(ctx->direct, reason);
    }
}

void distrust(AnswerHistory* history) noexcept {
    history->whole_in_row = 0;
    history->needed = history->needed < kMostNeeded ? 2 * history->needed : kMostNeeded;
}

// The request went on without us (an error_page, say): a clone's answer would have been stored.
void end_unanswered(DirectFill* fill) noexcept {
    settle(fill);
    if (fill->is_trusted) {
        distrust(fill->conf->history);
    }
    end_lease(fill, shm::LeaseState::kPublished, 0);
}

// *taken: the zone took the head, whatever became of the rest.
http::Reason store_whole(DirectFill* fill, const OriginResponse& origin, bool* taken) noexcept {
    http::Reason reason = http::Reason::kNone;
    shm::Store& store = fill->zone->store;
    shm::Status status = begin_object(fill, origin, &reason);
    if (status != shm::Status::kOk) {
        return reason != http::Reason::kNone ? reason : reason_of(status);
    }
    *taken = true;
    const ngx_buf_t& b = fill->request->upstream->buffer;
    fill->received = static_cast<uint64_t>(b.last - b.pos);
    count(fill->zone, Counter::kBytesFromOrigin, fill->received);
    status = store.append(&fill->writer, {reinterpret_cast<char*>(b.pos), fill->received}, now_sec());
    if (status == shm::Status::kOk) {
        status = publish(fill, &fill->listed);
    }
    store.abort(&fill->writer);
    if (status != shm::Status::kOk) {
        return reason_of(status);
    }
    count(fill->zone, Counter::kFillsStored);
    return http::Reason::kNone;
}

// What the client is sent is what was stored: the same fields as on a hit.
ngx_int_t show_stored(ngx_http_request_t* r, Ctx* ctx, const OriginResponse& origin) noexcept {
    ctx->stored = {};
    if (!cache::decode_head(ctx->direct->head, &ctx->stored)) {
        return NGX_ERROR;  // written a moment ago: cannot happen
    }
    ctx->from_fill.origin_age = origin.response.fields.has("Age") ? http::received_age(origin.response.fields) : -1;
    const bool own_location = is_location_ours(r->headers_out);
    const bool no_server = is_server_withheld(r->headers_out);
    ngx_http_clean_header(r);
    const ngx_int_t rc = put_header(r, ctx, ctx->stored, ctx->direct->expected, true);
    if (own_location) {
        make_location_ours(r);
    }
    if (no_server) {
        withhold_server(r);
    }
    if (!obey_kept_controls(r)) {
        return NGX_ERROR;
    }
    return rc;
}

// The origin was asked. From here on nobody but the origin ends this.
void ignore_client(ngx_http_request_t* r, DirectFill* fill) noexcept {
    hook_first_read(fill);
    fill->watch_client = r->read_event_handler;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}

// ---- in passing ----------------------------------------------------------------------------------------------

// Not what this location's answers are like: others shall not rely on it.
http::Reason store_in_passing(Ctx* ctx, const OriginResponse& origin) noexcept {
    DirectFill* fill = ctx->direct;
    if (fill->is_trusted) {
        watch_client_again(fill);
        distrust(ctx->conf->history);
    }
    return fill->is_broken ? http::Reason::kSubrequest : begin_copying(fill, origin);
}

http::Reason store_answer(Ctx* ctx, const OriginResponse& origin, bool whole) noexcept {
    DirectFill* fill = ctx->direct;
    if (!whole) {
        return store_in_passing(ctx, origin);
    }
    bool taken = false;
    const http::Reason lost = store_whole(fill, origin, &taken);
    if (!taken) {
        return lost;
    }
    if (lost != http::Reason::kNone) {
        ctx->reason = lost;
        count(fill->zone, lost);
    }
    if (lost == http::Reason::kNone) {
        ctx->object = ObjectAt::kDirect;
    }
    end_lease(fill, shm::LeaseState::kPublished, 0);
    return http::Reason::kNone;
}

}  // namespace

bool waits_for_whole(ngx_http_request_t* r) noexcept {
    const Ctx* ctx = get_ctx(r);
    return ctx != nullptr && ctx->direct != nullptr && ctx->direct->is_trusted;
}

// Should the origin break off meanwhile, it has not answered.
ngx_int_t await_whole(ngx_http_request_t* r) noexcept {
    if (!waits_for_whole(r)) {
        return NGX_OK;
    }
    ngx_http_upstream_t* u = r->upstream;
    const bool rest = fits_buffer(r) && !is_redirecting(r) && u->buffer.last - u->buffer.pos < body_length(*u);
    if (!rest) {
        return NGX_OK;
    }
    // nginx gives a header one such time for all of it, a body one between two reads.
    ngx_add_timer(u->peer.connection->read, u->conf->read_timeout);
    return NGX_AGAIN;
}

bool is_asking(const Ctx* ctx) noexcept { return ctx->direct != nullptr && ctx->direct->phase == DirectPhase::kAsking; }

bool is_answer_its_own(const Ctx* ctx) noexcept {
    const ngx_http_request_t* r = ctx->request;
    return r == r->main && r->err_status == 0 && !ctx->fill_args_differ && !has_fields(r->headers_out);
}

bool may_copy_in_passing(const Ctx* ctx) noexcept {
    return ctx->direct == nullptr && ctx->request->method == NGX_HTTP_GET && is_answer_its_own(ctx);
}

bool may_fill_whole(const Ctx* ctx, const shm::Ticket& lease) noexcept {
    const AnswerHistory& history = *ctx->conf->history;
    ngx_http_request_t* r = ctx->request;
    return history.whole_in_row >= history.needed && lease && !ctx->stale && ctx->direct == nullptr &&
           ctx->status == CacheStatus::kMiss && r == r->main && r->method == NGX_HTTP_GET &&
           r->http_version == NGX_HTTP_VERSION_11 && r->content_handler != nullptr && !r->post_action &&
           !ctx->fill_args_differ && !has_fields(r->headers_out) && r->limit_rate == 0 &&
           core_loc_conf(r)->limit_rate == nullptr && core_loc_conf(r)->error_pages == nullptr && is_clonable(ctx) &&
           !shapes_answer(r->headers_in);
}

namespace {

// The body filter's part, before the rest of the chain.
void take_body(ngx_http_request_t* r, Ctx* ctx, ngx_chain_t* in) noexcept {
    DirectFill* fill = ctx->direct;
    if (r->postponed != nullptr && !is_one_piece(ctx)) {  // parts of it are still to come, in between
        fill->is_broken = true;
        stop_copying(fill, http::Reason::kSubrequest);
    }
    copy_chain(fill, in);
}

}  // namespace

bool begin_direct_fill(Ctx* ctx, const shm::Ticket& lease, Trust trust) noexcept {
    auto* fill = pool_new<DirectFill>(ctx->request->pool);
    if (fill == nullptr) {
        return false;
    }
    begin_fill(fill, ctx, ctx->request);
    fill->url.host = ctx->url.host;  // on the same pool
    fill->url.uri = ctx->url.uri;
    fill->url.inner_path = ctx->url.inner_path;
    fill->url.inner_args = ctx->url.inner_args;
    fill->key = ctx->key;
    fill->leader = ctx;
    fill->ticket = lease;
    fill->is_trusted = trust == Trust::kWhole;
    fill->marks_nothing = fill->marks_nothing || shapes_answer(ctx->request->headers_in);
    fill->has_authorization = has_unkeyed_credentials(ctx->request);
    fill->zone->fills++;
    ngx_queue_insert_tail(&fill->zone->under_way, &fill->listed.link);
    if (!ctx->is_passing) {
        count(fill->zone, Counter::kFills);
    }
    list_under_way(fill->zone, &fill->listed, fill->request->pool, fill->url.host, fill->url.uri, {});
    fill->birth = fill->zone->store.birth_stamp();  // before the origin is asked, as in clone_fill.cpp
    plan_tier_write(fill, ctx, ctx->tier);
    fill->zone->store.unpin(&ctx->stale);  // it is not asked about
    ctx->stale_servable = false;
    ctx->direct = fill;
    ctx->take_body = take_body;
    ctx->leave_fills = leave_fills;
    return true;
}

ngx_int_t run_direct_fill(ngx_http_request_t* r, Ctx* ctx) noexcept {
    DirectFill* fill = ctx->direct;
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0, "slab_cache: direct fill, trusted:%d", fill->is_trusted);
    bool over = false;
    fill->over = &over;
    set_step(ctx, Step::kAsking);
    ngx_http_core_run_phases(r);  // from where we stand: it is let by now
    if (over) {
        return NGX_DONE;
    }
    fill->over = nullptr;
    if (fill->phase != DirectPhase::kAsking || get_ctx(r) != ctx) {
        return NGX_DONE;
    }
    if (r->upstream != nullptr && r->upstream->cleanup != nullptr) {
        hook_upstream(r);
        if (fill->is_trusted) {
            ignore_client(r, fill);
        }
    }
    return NGX_DONE;
}

ngx_int_t direct_header(ngx_http_request_t* r, Ctx* ctx) noexcept {
    DirectFill* fill = ctx->direct;
    settle(fill);
    count_answered(ctx);
    const bool whole = is_whole(r);
    OriginResponse origin;
    if (!read_origin(fill, &origin)) {
        end_lease(fill, shm::LeaseState::kFailed, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (is_header_too_big(fill)) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "upstream sent too big header");
        ctx->reason = http::Reason::kOriginError;
        count(fill->zone, ctx->reason);
        count(fill->zone, Counter::kFillsFailed);
        mark_failed(fill->zone, with_identity(fill->digest, fill->identity));
        end_lease(fill, shm::LeaseState::kFailed, NGX_HTTP_BAD_GATEWAY);
        ngx_http_clean_header(r);  // nothing of it is for the error page
        return NGX_HTTP_BAD_GATEWAY;
    }
    if (!whole && !restore_buffer(fill)) {
        end_lease(fill, shm::LeaseState::kFailed, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    count_origin(fill->zone, now_ms() - fill->started_ms, origin.origin_status);
    if (origin.origin_status >= NGX_HTTP_INTERNAL_SERVER_ERROR) {
        count(fill->zone, Counter::kFillsFailed);
    } else {
        clear_failures(fill->zone, with_identity(fill->digest, fill->identity));
    }
    http::Reason no = why_not_stored(fill, origin, {});
    if (no == http::Reason::kNone) {
        no = origin.kind == AnswerKind::kBody ? store_answer(ctx, origin, whole) : http::Reason::kErrorPage;
    }
    if (no != http::Reason::kNone) {
        refuse(ctx, no);
        return NGX_OK;
    }
    // Other handlers' headers are nginx's to finish, as without a cache.
    return r->upstream != nullptr ? show_stored(r, ctx, origin) : static_cast<ngx_int_t>(NGX_OK);
}

void note_subrequest(ngx_http_request_t* r) noexcept {
    Ctx* ctx = get_ctx(r->main);
    // What an upstream sends is one piece; SSI and its kind come behind us, and their parts are their own.
    if (ctx == nullptr || ctx->direct == nullptr || r->background || is_one_piece(ctx)) {
        return;
    }
    ctx->direct->is_broken = true;
    stop_copying(ctx->direct, http::Reason::kSubrequest);
}

void leave_direct_location(ngx_http_request_t* r) noexcept {
    Ctx* ctx = find_ctx(r);
    if (ctx == nullptr || !is_asking(ctx)) {
        return;
    }
    DirectFill* fill = ctx->direct;
    OriginResponse origin;
    if (!read_redirect(fill, &origin)) {
        end_unanswered(fill);
        return;
    }
    settle(fill);
    count_answered(ctx);
    http::Reason no = why_not_stored(fill, origin, {});
    if (no == http::Reason::kNone) {
        no = store_bodyless(fill, origin, nullptr);
    }
    if (no != http::Reason::kNone) {
        ctx->reason = no;
        note_refusal(fill, no);
    }
    end_lease(fill, shm::LeaseState::kPublished, 0);
}

namespace {

void leave_direct(Ctx* ctx) noexcept {
    DirectFill* fill = ctx->direct;
    if (fill == nullptr) {
        return;
    }
    if (is_asking(ctx)) {
        end_unanswered(fill);
    }
    stop_copying(fill, http::Reason::kTruncated);
    leave_tier(fill);
    ngx_queue_remove(&fill->listed.link);
    if (fill->over != nullptr) {
        *fill->over = true;
    }
    ctx->direct = nullptr;
    ctx->take_body = nullptr;
}

}  // namespace

void leave_fills(Ctx* ctx) noexcept {
    if (ctx->tier != nullptr) {
        leave_visit(ctx->tier);
    }
    if (ctx->fill != nullptr) {
        leader_left(ctx->fill);
        ctx->fill = nullptr;
    }
    leave_direct(ctx);
    if (ctx->passing_post != nullptr) {
        end_post_copy(ctx->passing_post);
        ctx->passing_post = nullptr;
        ctx->take_body = nullptr;
    }
}

void note_history(const CloneFill* fill) noexcept {
    AnswerHistory* history = fill->conf->history;
    history->whole_in_row = fits_buffer(fill->request) ? history->whole_in_row + 1 : 0;
    history->whole_in_row = history->whole_in_row < kMostNeeded ? history->whole_in_row : kMostNeeded;
}

}  // namespace slab_cache::ngx
