#include "ngx/glue/ngx.h"

#include "ngx/fill/clone_fill.h"

#include "cache/stored_head.h"
#include "ngx/fill/capture.h"
#include "ngx/fill/clone.h"
#include "ngx/request/accounting.h"
#include "ngx/conf/credentials.h"
#include "ngx/request/identity.h"
#include "ngx/fill/upstream_hooks.h"
#include "ngx/fill/post_copy.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/hit_for_miss.h"
#include "ngx/fill/direct_fill.h"
#include "ngx/fill/relay_queue.h"
#include "ngx/fill/tier_visit.h"
#include "ngx/fill/tier_write.h"
#include "ngx/request/cache_key.h"
#include "ngx/zone/validity.h"
#include "ngx/zone/whole_head.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_uint_t kLeastFree = 32;      // one connection in so many is left to clients
constexpr ngx_uint_t kAbandonedShare = 8;  // of the fills

// Somebody waits for it, here or in another worker. Those are woken: that is how they are found.
bool is_awaited(CloneFill* fill) noexcept {
    if (!fill->ticket) {
        return false;
    }
    if (has_waiters(fill->zone, fill->ticket.cell)) {
        return true;
    }
    const uint32_t self = fill->zone->store.worker_index();
    shm::WakeSet wake;
    fill->zone->store.lease_progress(fill->ticket, now_ms(), &wake);
    wake.bits[self / 64] &= ~(uint64_t{1} << self % 64);  // who waited here has gone
    wake_workers(fill->zone, wake, fill->ticket.cell);
    return wake.any();
}

// A key whose fill failed while it has nothing stale to serve answers its waiters with this.
ngx_uint_t failure_status(CloneFill* fill) noexcept {
    const ngx_uint_t status = fill->request->headers_out.status;
    return status >= NGX_HTTP_BAD_REQUEST && status != NGX_HTTP_CLIENT_CLOSED_REQUEST
               ? status
               : static_cast<ngx_uint_t>(NGX_HTTP_BAD_GATEWAY);
}

// The internal request is over, whatever way. Runs once, while its pool still exists.
void on_fill_end(void* data) noexcept {
    auto* fill = static_cast<CloneFill*>(data);
    if (fill->go_on.posted) {
        ngx_delete_posted_event(&fill->go_on);
    }
    if (fill->phase == ClonePhase::kStoring) {
        finish_capture(fill);  // complete after all (a response without a body), or truncated
    }
    if (fill->phase == ClonePhase::kFetching) {
        fail_fill(fill, failure_status(fill));
    }
    if (fill->leader != nullptr) {
        end_relay(fill->leader, false);  // unless it has ended, or there is none
    }
    end_lease(fill, shm::LeaseState::kFailed, NGX_HTTP_BAD_GATEWAY);  // no-op when it has ended
    fill->zone->store.abort(&fill->writer);
    if (fill->for_get != nullptr) {
        end_post_copy(fill->for_get);
    }
    if (fill->visit != nullptr) {
        leave_visit(fill->visit);
    }
    fill->zone->store.unpin(&fill->stale);
    fill->zone->fills--;
    fill->zone->clones--;
    fill->zone->abandoned -= fill->is_abandoned ? 1 : 0;
    ngx_queue_remove(&fill->listed.link);
    if (fill->leader != nullptr) {
        copy_upstream_states(fill, fill->leader);
        fill->leader->fill = nullptr;
        post_waiter(&fill->leader->waiter);
        fill->leader = nullptr;
    }
    fill_on(fill->request->connection) = nullptr;
    fill->request->connection->timedout = 0;  // after a 444: no socket to be reset
    if (fill->over != nullptr) {
        *fill->over = true;
    }
}

void on_go_on(ngx_event_t* ev) noexcept {
    auto* fill = static_cast<CloneFill*>(ev->data);
    ngx_connection_t* c = fill->request->connection;
    ngx_http_request_t* r = fill->request;
    ngx_http_set_log_request(c->log, r);
    if (fill->phase == ClonePhase::kDropping) {
        // nginx walks the cleanups first, and upstream's gives up the reference it holds: with no other left it would
        // free the request under the walk's feet. Terminating sets the count anew.
        r->main->count++;
        ngx_http_finalize_request(r, NGX_ERROR);
    } else {
        r->write_event_handler(r);
    }
    ngx_http_run_posted_requests(c);
}

bool copy_names(CloneFill* fill, Ctx* ctx) noexcept {
    ngx_pool_t* pool = fill->request->pool;
    return pool_copy(pool, ctx->key, &fill->key) && pool_copy(pool, ctx->url.host, &fill->url.host) &&
           pool_copy(pool, ctx->url.uri, &fill->url.uri) &&
           (!ctx->url.differs_inside() || (pool_copy(pool, ctx->url.inner_path, &fill->url.inner_path) &&
                                           pool_copy(pool, ctx->url.inner_args, &fill->url.inner_args)));
}

// Asks the origin whether what we have is still right.
bool add_conditions(CloneFill* fill) noexcept {
    cache::StoredResponse stored;
    if (!cache::decode_head(whole_head(fill->request->pool, fill->zone->store, fill->stale), &stored) ||
        !may_be_confirmed(stored.status)) {
        return true;
    }
    if (!stored.etag.empty() && !add_request_header(fill->request, "If-None-Match", "if-none-match", stored.etag)) {
        return false;
    }
    return stored.last_modified.empty() ||
           add_request_header(fill->request, "If-Modified-Since", "if-modified-since", stored.last_modified);
}

CloneFill* make_fill(Ctx* ctx, const shm::Ticket& ticket) noexcept {
    ngx_http_request_t* r = clone_request(ctx);
    if (r == nullptr) {
        return nullptr;
    }
    auto* fill = pool_new<CloneFill>(r->pool);
    ngx_http_cleanup_t* cln = ngx_http_cleanup_add(r, 0);
    if (fill == nullptr || cln == nullptr) {
        discard_clone(r);
        return nullptr;
    }
    begin_fill(fill, ctx, r);
    fill->has_authorization = has_unkeyed_credentials(ctx->request);
    fill->go_on.handler = on_go_on;
    fill->go_on.data = fill;
    fill->go_on.log = fill->request->connection->log;
    if (!copy_names(fill, ctx)) {
        discard_clone(r);
        return nullptr;
    }
    fill->for_get = plan_post_copy(ctx, r->pool);
    cln->handler = on_fill_end;
    cln->data = fill;
    fill_on(fill->request->connection) = fill;
    fill->zone->fills++;
    fill->zone->clones++;
    ngx_queue_insert_tail(&fill->zone->under_way, &fill->listed.link);
    count(fill->zone, Counter::kFills);
    fill->ticket = ticket;
    if (ctx->stale) {
        fill->stale = fill->zone->store.repin(ctx->stale);
    }
    list_under_way(fill->zone, &fill->listed, fill->request->pool, fill->url.host, fill->url.uri, fill->stale);
    // Before the origin is asked: whatever is purged from now on is purged from this response too.
    fill->birth = fill->zone->store.birth_stamp();
    plan_tier_write(fill, ctx, ctx->tier);
    return fill;
}

// The phases of its request, up to the origin. It may be over when this returns.
void run_fill(CloneFill* fill) noexcept {
    ngx_http_request_t* r = fill->request;
    ngx_connection_t* c = r->connection;
    bool over = false;
    fill->over = &over;
    ngx_http_core_run_phases(r);
    if (!over) {
        hook_upstream(r);
        hook_first_read(fill);
    }
    ngx_http_run_posted_requests(c);
    if (!over) {
        fill->over = nullptr;
    }
}

// ---- the tier, first -----------------------------------------------------------------------------------------

void on_visited(TierVisit* visit) noexcept {
    auto* fill = static_cast<CloneFill*>(visit->owner);
    ngx_http_request_t* r = fill->request;
    ngx_connection_t* c = r->connection;
    ngx_http_set_log_request(c->log, r);
    if (visit->is_hit) {  // something fresher has been stored: nobody need be asked
        set_phase(fill, ClonePhase::kDone);
        end_lease(fill, shm::LeaseState::kPublished, 0);
        ngx_http_finalize_request(r, NGX_ERROR);
        ngx_http_run_posted_requests(c);
        return;
    }
    if (fill->tier != nullptr) {
        fill->tier->hold = visit->hold;
        visit->hold = {};
    }
    fill->started_ms = now_ms();
    run_fill(fill);
}

// True: it goes on from there. A client's request has asked by itself, before it began a fill.
bool visits_tier(CloneFill* fill, const Ctx* ctx) noexcept {
    if (!uses_tier(ctx)) {
        return false;
    }
    auto* visit = pool_new<TierVisit>(fill->request->pool);
    if (visit == nullptr || !tier_place_of(ctx, fill->request, &visit->place)) {
        return false;
    }
    visit->ended = on_visited;
    visit->owner = fill;
    visit->fresher_than = fill->stale ? shm::Store::fresh_until(fill->stale) : 0;
    fill->visit = visit;
    return start_visit(visit);
}

}  // namespace

CloneFill* fill_of(ngx_http_request_t* r) noexcept {
    return is_clone(r->connection) ? fill_on(r->connection) : nullptr;
}

bool start_fill(Ctx* ctx, FillKind kind, const shm::Ticket& ticket) noexcept {
    CloneFill* fill = make_fill(ctx, ticket);
    if (fill == nullptr) {
        if (ticket) {
            shm::WakeSet wake;
            ctx->zone->store.lease_release(ticket, shm::LeaseState::kPrivate,
                                           static_cast<uint32_t>(http::Reason::kBusy), &wake);
            wake_workers(ctx->zone, wake, ticket.cell);
        }
        return false;
    }
    // A hard purge between our look and the birth: a 304 must not revive what it took. Later ones commit() sees.
    if (ctx->stale && validity_of(ctx->zone, {ctx->request->pool, ctx->url.host, ctx->url.uri}, ctx->stale) ==
                          shm::Validity::kPurged) {
        ctx->zone->store.unpin(&ctx->stale);
        ctx->zone->store.unpin(&fill->stale);
        ctx->stale_servable = false;
    }
    if (ctx->stale) {
        fill->stale_servable = ctx->stale_servable;
    }
    fill->is_rest = kind == FillKind::kRest;
    if (kind != FillKind::kBackground) {
        fill->leader = ctx;
        ctx->fill = fill;
        ctx->leave_fills = leave_fills;
        ctx->from_fill.news = FillNews::kNone;
    }
    ngx_connection_t* c = fill->request->connection;
    ngx_http_request_t* r = fill->request;
    ngx_set_connection_log(c, core_loc_conf(r)->error_log);
    if (fill->stale && ctx->conf->revalidate && !add_conditions(fill)) {
        ngx_http_finalize_request(r, NGX_ERROR);
        ngx_http_run_posted_requests(c);
        return true;
    }
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0, "slab_cache: fill on *%uA, background:%d",
                   c->number, kind == FillKind::kBackground);
    if (kind != FillKind::kBackground || !fill->ticket || !visits_tier(fill, ctx)) {
        run_fill(fill);
    }
    return true;
}

void leave_location(ngx_http_request_t* r) noexcept {
    CloneFill* fill = fill_of(r);
    if (fill == nullptr) {
        return;  // it is over: its connection goes
    }
    if (fill->phase == ClonePhase::kFetching && !fill->is_rest) {
        capture_redirect(fill);
    }
    drop_fill(fill);
}

bool has_room_for_fill(const Zone* zone) noexcept {
    return zone->clones < zone->max_clones && ngx_cycle->free_connection_n > ngx_cycle->connection_n / kLeastFree;
}

// limit_conn and HTTP/2's concurrent streams bound what clients have open at the origin, and forget who hangs up. So what goes
// on without a client is bounded here. Under limit_conn none does: there nothing else would bound it.
void leader_left(CloneFill* fill) noexcept {
    const bool limited = fill->leader->request->main->limit_conn_status != 0;
    fill->leader = nullptr;
    if (fill->phase == ClonePhase::kRelaying) {
        drop_fill(fill);
        return;
    }
    if (fill->phase != ClonePhase::kFetching) {
        return;
    }
    Zone* zone = fill->zone;
    if ((limited || zone->abandoned >= zone->max_clones / kAbandonedShare) && !is_awaited(fill)) {
        give_back(zone, fill->ticket);  // who comes at this very moment looks again
        fill->ticket = {};
        drop_fill(fill);
        return;
    }
    fill->is_abandoned = true;
    zone->abandoned++;
}

void tell_leader(CloneFill* fill, FillNews news) noexcept {
    if (fill->leader != nullptr) {
        fill->leader->from_fill.news = news;
        post_waiter(&fill->leader->waiter);
    }
}

void give_leader(CloneFill* fill, shm::Pin* pin, FillNews news) noexcept {
    if (fill->leader == nullptr) {
        fill->zone->store.unpin(pin);
        return;
    }
    fill->leader->stored_ref = 0;
    fill->leader->pin = *pin;
    *pin = {};
    tell_leader(fill, news);
}

void tell_reason(CloneFill* fill, http::Reason reason) noexcept {
    if (fill->leader != nullptr) {
        fill->leader->reason = reason;
    }
}

void wake_leader(CloneFill* fill) noexcept {
    if (fill->leader != nullptr) {
        post_waiter(&fill->leader->waiter);
    }
}

void continue_fill(CloneFill* fill) noexcept {
    if (!fill->go_on.posted) {
        ngx_post_event(&fill->go_on, &ngx_posted_events);
    }
}

void drop_fill(CloneFill* fill) noexcept {
    set_phase(fill, ClonePhase::kDropping);
    continue_fill(fill);
}

void fail_fill(CloneFill* fill, ngx_uint_t status) noexcept {
    set_phase(fill, ClonePhase::kDone);
    count(fill->zone, Counter::kFillsFailed);
    count(fill->zone, http::Reason::kOriginError);
    mark_failed(fill->zone, with_identity(fill->digest, fill->identity));
    end_lease(fill, shm::LeaseState::kFailed, static_cast<uint32_t>(status));
    if (fill->leader != nullptr) {
        fill->leader->error_status = status;
        tell_leader(fill, fill->stale_servable ? FillNews::kServeStale : FillNews::kError);
    }
}

// $upstream_status and its kin in the client's log line: the states of the fill that it waited for.
void copy_upstream_states(CloneFill* fill, Ctx* leader) noexcept {
    ngx_array_t* from = fill->request->upstream_states;
    ngx_http_request_t* r = leader->request;
    if (from == nullptr || from->nelts == 0 || r->upstream_states != nullptr) {
        return;
    }
    ngx_array_t* to = ngx_array_create(r->pool, from->nelts, sizeof(ngx_http_upstream_state_t));
    if (to == nullptr) {
        return;
    }
    auto* states = static_cast<ngx_http_upstream_state_t*>(from->elts);
    for (ngx_uint_t i = 0; i < from->nelts; i++) {
        auto* state = static_cast<ngx_http_upstream_state_t*>(ngx_array_push(to));
        if (state == nullptr) {
            return;
        }
        *state = states[i];
        if (state->response_time == static_cast<ngx_msec_t>(-1) && fill->request->upstream != nullptr) {  // it goes on
            state->response_time = ngx_current_msec - fill->request->upstream->start_time;
        }
        if (state->peer != nullptr) {
            auto* peer = pool_new<ngx_str_t>(r->pool);
            if (peer == nullptr || !pool_copy(r->pool, *state->peer, peer)) {
                return;
            }
            state->peer = peer;
        }
    }
    r->upstream_states = to;
}

}  // namespace slab_cache::ngx
