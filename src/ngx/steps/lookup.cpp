#include "ngx/glue/ngx.h"

#include "ngx/steps/lookup.h"

#include "cache/stored_head.h"
#include "http/reuse.h"
#include "http/storable.h"
#include "ngx/glue/client_io.h"
#include "ngx/fill/clone.h"
#include "ngx/request/accounting.h"
#include "ngx/conf/credentials.h"
#include "ngx/fill/direct_fill.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/request/find_object.h"
#include "ngx/request/identity.h"
#include "ngx/zone/hit_for_miss.h"
#include "ngx/answer/redirect.h"
#include "ngx/steps/ask_tier.h"
#include "ngx/steps/hint_early.h"
#include "ngx/steps/refresh.h"
#include "ngx/answer/relay.h"
#include "ngx/request/cache_key.h"
#include "ngx/answer/serve.h"
#include "ngx/request/sliced_request.h"
#include "ngx/steps/step.h"
#include "ngx/answer/serve_growing.h"

namespace slab_cache::ngx {
namespace {

constexpr uint8_t kMostFills = 3;  // of others that a request waits for one after the other, before it asks itself
constexpr uint8_t kMaxRounds = 8;  // lookups after waiting before a request stops being polite

void serve_with(Ctx* ctx, CacheStatus status) noexcept {
    ctx->status = status;
    if (status == CacheStatus::kHit) {
        ctx->reason = http::Reason::kNone;  // of a look before
    }
    set_step(ctx, Step::kServe);
}

void stop_waiting(Ctx* ctx) noexcept {
    ctx->wait.waited_ms += now_ms() - ctx->wait.since_ms;
    ctx->wait.since_ms = now_ms();
    if (ctx->request == ctx->request->main) {
        ctx->request->read_event_handler = ngx_http_block_reading;
    }
}

Next take_lease(Ctx* ctx, const shm::Ticket& ticket) noexcept {
    if (ctx->rounds < kMaxRounds && appeared_meanwhile(ctx)) {
        give_back(ctx->zone, ticket);
        set_step(ctx, Step::kLookup);
        return Next::kMore;
    }
    return fill_as_leader(ctx, ticket);
}

// One fill of a key begins when the one before has ended: this request was there already.
void note_order(Ctx* ctx, const shm::Ticket& ticket) noexcept {
    const shm::Digest lease = lease_digest(ctx);
    const bool same_key = ctx->wait.first_ticket && ctx->wait.first_lease == lease;
    if (!same_key) {
        ctx->wait.first_ticket = ticket;
        ctx->wait.first_lease = lease;
    }
    ctx->wait.is_asked_after =
        same_key && (ctx->wait.first_ticket.cell != ticket.cell || ctx->wait.first_ticket.gen != ticket.gen);
}

// Somebody else may be filling this key: be the one, wait for it, or go alone.
Next fill_or_wait(Ctx* ctx) noexcept {
    if (!ctx->conf->lock || ctx->unlocked) {
        return fill_as_leader(ctx, {});
    }
    shm::Ticket ticket;
    switch (ctx->zone->store.lease_acquire(lease_digest(ctx), now_ms(), static_cast<uint32_t>(ctx->conf->lock_age),
                                           &ticket)) {
    case shm::LeaseAnswer::kOwned:
        return take_lease(ctx, ticket);
    case shm::LeaseAnswer::kUnavailable:
        return fill_as_leader(ctx, {});
    case shm::LeaseAnswer::kWait:
        break;
    }
    if (!ctx->wait.collapsed) {
        ctx->wait.collapsed = true;
        ctx->wait.since_ms = now_ms();
        ctx->wait.deadline_ms = now_ms() + ctx->conf->lock_timeout;
        count(ctx->zone, Counter::kWaits);
    }
    note_order(ctx, ticket);
    ctx->ticket = ticket;
    set_step(ctx, Step::kWait);
    return Next::kMore;
}

// Nobody waits for this one: it goes nginx's ordinary way, and what is stored of it after all is stored in passing.
Next pass_looking(Ctx* ctx, http::Reason reason) noexcept {
    ctx->is_passing = may_copy_in_passing(ctx);
    if (ctx->is_passing && begin_direct_fill(ctx, {}, Trust::kNone)) {
        ctx->reason = reason;
        set_step(ctx, Step::kDirect);
        count_pass(ctx);
        return Next::kMore;
    }
    pass(ctx, reason);
    return Next::kMore;
}

// Found uncacheable a moment ago.
Next pass_marked(Ctx* ctx, http::Reason reason) noexcept {
    ctx->under_mark = true;
    count(ctx->zone, http::Reason::kHitForMiss);
    return pass_looking(ctx, reason);
}

// The rules are asked again when the answer is there: nginx must not keep until then what a map of $upstream_http_ or
// $sent_http_ is now, nor what it was made from.
bool is_ruled_out(ngx_http_request_t* r, ngx_array_t* rules) noexcept {
    if (rules == nullptr) {
        return false;
    }
    const ngx_uint_t n = core_main_conf(r)->variables.nelts;
    auto* known = static_cast<bool*>(ngx_pnalloc(r->pool, n + 1));
    if (known == nullptr) {
        return false;
    }
    for (ngx_uint_t i = 0; i < n; i++) {
        known[i] = r->variables[i].valid || r->variables[i].not_found;
    }
    const bool ruled_out = ngx_http_test_predicates(r, rules) != NGX_OK;
    for (ngx_uint_t i = 0; i < n; i++) {
        if (!known[i]) {
            r->variables[i].valid = 0;
            r->variables[i].not_found = 0;
        }
    }
    return ruled_out;
}

Next miss(Ctx* ctx) noexcept {
    LocConf* conf = ctx->conf;
    ctx->status = CacheStatus::kMiss;
    if (!ctx->zone->missing || !(ctx->digest == ctx->primary)) {  // else start() has done it
        ctx->zone->store.lease_prefetch(lease_digest(ctx));
    }
    ctx->zone->missing = true;
    const bool authorized = has_unkeyed_credentials(ctx->request);
    const http::Reason refused =
        uncacheable_reason(ctx->zone, mark_digest(ctx->digest, ctx->identity, mark_kind(ctx->request)));
    if (refused != http::Reason::kNone) {
        return pass_marked(ctx, refused);
    }
    if (conf->min_uses > 1 && ctx->rounds == 0 && ctx->zone->store.bump_uses(lease_digest(ctx)) < conf->min_uses) {
        pass(ctx, http::Reason::kMinUses);
        return Next::kMore;
    }
    // What slab_no_cache rules out already now nobody should wait for. It is asked again when there is an answer.
    if (is_ruled_out(ctx->request, conf->no_cache)) {
        return pass_looking(ctx, http::Reason::kNoCacheRule);
    }
    // Its answer may be for its sender alone, or come from a handler that nothing is known of: nobody should wait for it.
    ctx->unlocked = ctx->unlocked || authorized || (!is_clonable(ctx) && !conf->history->copies_in_passing);
    return fill_or_wait(ctx);
}

// Something is stored but must not be used as it is: ask the origin, with what we have up our sleeve.
Next expired(Ctx* ctx, const http::StoredFacts& facts, Found found) noexcept {
    const http::Policy& policy = ctx->conf->policy;
    // What has just been fetched and yet is stale has to be asked about again: the next fill does it for all who wait by then.
    ctx->unlocked = ctx->unlocked || ctx->wait.fills_seen >= kMostFills;
    ctx->status = CacheStatus::kExpired;
    ctx->stale = ctx->pin;
    ctx->pin = {};
    ctx->stale_servable = false;
    for (uint32_t bit = 1; bit <= http::kStaleHttp5xx; bit <<= 1) {
        if (http::may_serve_stale(facts, static_cast<http::StaleOn>(bit), policy, now_sec())) {
            ctx->stale_servable = true;
        }
    }
    if (ctx->stale_servable && origin_failing(ctx->zone, lease_digest(ctx))) {
        ctx->pin = ctx->stale;  // it failed a moment ago: leave it in peace
        ctx->stale = {};
        ctx->reason = http::Reason::kOriginError;
        serve_with(ctx, CacheStatus::kStale);
        return Next::kMore;
    }
    const bool may_update =
        found != Found::kDoubted &&
        (found == Found::kSoftPurged || http::may_serve_stale(facts, http::kStaleUpdating, policy, now_sec()));
    const Next next = fill_or_wait(ctx);
    if (ctx->step == Step::kWait && ctx->wait.collapsed && may_update && ctx->rounds == 0) {
        ctx->pin = ctx->stale;
        ctx->stale = {};
        ctx->ticket = {};
        serve_with(ctx, CacheStatus::kUpdating);
        return Next::kMore;
    }
    return next;
}

// ---- lookup --------------------------------------------------------------------------------------------------

// The object was fetched by a fill that asked the origin after this request came. What must be asked about at each use (a
// lifetime of zero, no-cache) was asked about for this one then.
bool was_asked_for(const Ctx* ctx) noexcept {
    return ctx->wait.answer_id != 0 && ctx->wait.answer_id == answer_id(ctx->pin.ref);
}

// What a purge leaves of an answer that the rules allow.
http::ReuseKind weakened(http::ReuseKind kind, Found found) noexcept {
    const bool is_fresh = kind == http::ReuseKind::kFresh;
    if (found == Found::kDoubted && (is_fresh || kind == http::ReuseKind::kStaleWhileRevalidate)) {
        return http::ReuseKind::kRevalidate;
    }
    return found == Found::kSoftPurged && is_fresh ? http::ReuseKind::kStaleWhileRevalidate : kind;
}

Next decide(Ctx* ctx, Found found) noexcept {
    shm::Store& store = ctx->zone->store;
    const cache::StoredResponse* stored = stored_response(ctx);
    if (stored == nullptr) {
        store.unpin(&ctx->pin);
        count(ctx->zone, Counter::kCorrupt);
        ctx->reason = http::Reason::kCorrupt;
        return miss(ctx);
    }
    if (turn_down_part(ctx, *stored)) {
        store.unpin(&ctx->pin);
        ctx->reason = http::Reason::kSliceChanged;
        return miss(ctx);
    }
    const int64_t now = now_sec();
    http::Reuse answer = http::reuse(stored->facts, request_facts(ctx->request), ctx->conf->policy, now);
    if (found != Found::kUnpurged) {
        answer.kind = weakened(answer.kind, found);
    }
    if (found == Found::kUnpurged && answer.kind != http::ReuseKind::kNo && was_asked_for(ctx)) {
        store.touch(ctx->pin);
        serve_with(ctx, CacheStatus::kHit);
        return Next::kMore;
    }
    switch (answer.kind) {
    case http::ReuseKind::kFresh:
        ctx->zone->missing = false;
        store.touch(ctx->pin);
        maybe_refresh_early(ctx, stored->facts);
        serve_with(ctx, CacheStatus::kHit);
        return Next::kMore;
    case http::ReuseKind::kStaleWhileRevalidate:
        if (ctx->conf->background_update && is_clonable(ctx)) {
            store.touch(ctx->pin);
            ctx->reason = answer.reason;
            serve_with(ctx, refresh_in_background(ctx) ? CacheStatus::kStale : CacheStatus::kUpdating);
            return Next::kMore;
        }
        return expired(ctx, stored->facts, found);
    case http::ReuseKind::kStaleIfErrorOnly:
    case http::ReuseKind::kRevalidate:
        ctx->reason = answer.reason;
        return expired(ctx, stored->facts, found);
    case http::ReuseKind::kNo:
        break;
    }
    store.unpin(&ctx->pin);
    ctx->reason = answer.reason;
    ctx->unlocked = true;  // stored, but not for this request: nobody else's business
    return miss(ctx);
}

}  // namespace

Next lookup(Ctx* ctx) noexcept {
    ctx->zone->store.unpin(&ctx->stale);
    ctx->stored_ref = 0;  // a ref may name another entry once ours was let go
    ctx->ticket = {};
    if (ctx->rounds > kMaxRounds) {
        pass(ctx, http::Reason::kBusy);
        return Next::kMore;
    }
    const Found found = find_object(ctx);
    Next next;
    if (found == Found::kFailed) {
        pass(ctx, http::Reason::kBusy);
        next = Next::kMore;
    } else {
        next = found == Found::kNothing ? miss(ctx) : decide(ctx, found);
    }
    // The origin is being asked, or will be in a moment.
    const bool asks =
        next == Next::kWait || (next == Next::kMore && (ctx->step == Step::kWait || ctx->step == Step::kDirect));
    if (ctx->conf->early_hints && asks && ctx->rounds == 0 && ctx->from_fill.news == FillNews::kNone &&
        !ctx->is_passing) {
        hint_early(ctx);
    }
    if (ctx->rounds < 255) {
        ctx->rounds++;
    }
    return next;
}

// ---- after waiting -------------------------------------------------------------------------------------------

namespace {

Next serve_stale(Ctx* ctx) noexcept {
    ctx->pin = ctx->stale;
    ctx->stale = {};
    ctx->ticket = {};
    ctx->reason = http::Reason::kOriginError;
    serve_with(ctx, CacheStatus::kStale);
    return Next::kMore;
}

// Our own fill has something to say.
Next hear_fill(Ctx* ctx) noexcept {
    switch (ctx->from_fill.news) {
    case FillNews::kNone:
        if (ctx->fill == nullptr) {  // it ended without a word: out of memory, most likely
            pass(ctx, http::Reason::kInternal);
            return Next::kMore;
        }
        return park(ctx);
    case FillNews::kStored:
        if (ctx->fill == nullptr && ctx->from_fill.relay == nullptr && !shm::Store::is_complete(ctx->pin)) {
            // It broke off before we sent anything: still time for a proper error, or for what we had.
            ctx->zone->store.unpin(&ctx->pin);
            return ctx->stale_servable ? serve_stale(ctx) : Next::kError;
        }
        set_step(ctx, Step::kServe);
        return Next::kMore;
    case FillNews::kValidated:
        serve_with(ctx, CacheStatus::kRevalidated);
        return Next::kMore;
    case FillNews::kRelay:
        set_step(ctx, Step::kRelay);
        return Next::kMore;
    case FillNews::kServeStale:
        return serve_stale(ctx);
    case FillNews::kRedirect:
        set_step(ctx, Step::kRedirect);
        return Next::kMore;
    case FillNews::kAskItself:
        pass(ctx, ctx->reason);
        return Next::kMore;
    case FillNews::kElsewhere:
        pass(ctx, http::Reason::kElsewhere);
        return Next::kMore;
    case FillNews::kError:
        if (ctx->reason == http::Reason::kNone) {
            ctx->reason = http::Reason::kOriginError;
        }
        return Next::kError;
    }
    return Next::kError;
}

Next look_again(Ctx* ctx) noexcept {
    stop_waiting(ctx);
    set_step(ctx, Step::kLookup);
    return Next::kMore;
}

Next hear_lease(Ctx* ctx) noexcept {
    const shm::LeaseView view =
        ctx->zone->store.lease_watch(ctx->ticket, now_ms(), static_cast<uint32_t>(ctx->conf->lock_age));
    switch (view.state) {
    case shm::LeaseState::kStreaming:
        if (join_stream(ctx)) {
            stop_waiting(ctx);
            serve_with(ctx, CacheStatus::kHit);
            return Next::kMore;
        }
        break;
    case shm::LeaseState::kFetching:
        break;
    case shm::LeaseState::kPublished:
        ctx->wait.fills_seen++;
        ctx->wait.answer_id = ctx->wait.is_asked_after ? view.detail : 0;
        return look_again(ctx);
    case shm::LeaseState::kGone:
    case shm::LeaseState::kSilent:
        return look_again(ctx);
    case shm::LeaseState::kPrivate:
        stop_waiting(ctx);
        return pass_marked(
            ctx, view.detail < http::kReasonCount ? static_cast<http::Reason>(view.detail) : http::Reason::kHitForMiss);
    case shm::LeaseState::kFailed:
        stop_waiting(ctx);
        if (ctx->stale && ctx->stale_servable) {
            return serve_stale(ctx);
        }
        ctx->error_status = view.detail;
        ctx->reason = http::Reason::kOriginError;
        return Next::kError;
    }
    if (now_ms() >= ctx->wait.deadline_ms) {
        stop_waiting(ctx);
        pass(ctx, http::Reason::kLockTimeout);
        return Next::kMore;
    }
    return park(ctx);
}

}  // namespace

Next wait(Ctx* ctx) noexcept {
    if (is_asking_tier(ctx)) {
        return hear_tier(ctx);
    }
    if (ctx->fill != nullptr || ctx->from_fill.news != FillNews::kNone) {
        return hear_fill(ctx);
    }
    return ctx->ticket ? hear_lease(ctx) : hear_fill(ctx);
}

Next park(Ctx* ctx) noexcept { return park_until(ctx, ctx->wait.deadline_ms); }

Next park_until(Ctx* ctx, uint64_t ms) noexcept {
    ngx_http_request_t* r = ctx->request;
    set_step(ctx, Step::kWait);
    const uint64_t now = now_ms();
    const ngx_msec_t left = ms > now ? static_cast<ngx_msec_t>(ms - now) : 1;
    if (ctx->fill == nullptr) {  // our own fill posts us, at its end at the latest
        wait_for(&ctx->waiter, ctx->ticket, left);
    }
    r->write_event_handler = ngx_http_request_empty_handler;
    if (r == r->main ? r->read_event_handler == ngx_http_block_reading : ctx->part.is_subrequest()) {
        r->read_event_handler = ngx_http_test_reading;  // notice a client that hangs up
    }
    if (ctx->part.is_subrequest() && has_socket(r)) {
        stop_send_timeout(r);  // set for the part before
    }
    return Next::kWait;
}

Next fill_as_leader(Ctx* ctx, const shm::Ticket& lease) noexcept {
    if (carries_unkeyed_args(ctx)) {  // as without a cache; another, without those, may fill it
        give_back(ctx->zone, lease);
        pass(ctx, http::Reason::kCarriedArgs);
        return Next::kMore;
    }
    if (may_ask_tier(ctx, lease) && begin_asking_tier(ctx, lease)) {
        return park_until(ctx, now_ms() + kTierTickMs);
    }
    const bool clonable = is_clonable(ctx) && has_room_for_fill(ctx->zone);
    const Trust trust = may_fill_whole(ctx, lease) ? Trust::kWhole : Trust::kNone;
    if ((trust == Trust::kWhole || (!clonable && may_copy_in_passing(ctx))) && begin_direct_fill(ctx, lease, trust)) {
        set_step(ctx, Step::kDirect);
        return Next::kMore;
    }
    if (!clonable) {  // it may do what only the client's own request can
        give_back(ctx->zone, lease);
        pass(ctx, ctx->reason != http::Reason::kNone ? ctx->reason
                  : is_head_alone(ctx)               ? http::Reason::kMethod
                  : is_clonable(ctx)                 ? http::Reason::kBusy
                                                     : http::Reason::kNotWhole);
        return Next::kMore;
    }
    ctx->wait.since_ms = now_ms();
    ctx->ticket = lease;  // for streaming: the same cell tells us of growth; a variant's fill changes it
    if (!start_fill(ctx, FillKind::kForeground, lease)) {
        ctx->ticket = {};
        pass(ctx, http::Reason::kBusy);
        return Next::kMore;
    }
    set_step(ctx, Step::kWait);
    return ctx->from_fill.news != FillNews::kNone ? Next::kMore : park(ctx);
}

}  // namespace slab_cache::ngx
