#include "ngx/glue/ngx.h"

#include "ngx/request/accounting.h"

#include "ngx/glue/clock.h"
#include "ngx/request/heavy_hitters.h"

namespace slab_cache::ngx {
namespace {

Counter counter_of(CacheStatus status) noexcept {
    switch (status) {
    case CacheStatus::kHit:
        return Counter::kHit;
    case CacheStatus::kExpired:
        return Counter::kExpired;
    case CacheStatus::kStale:
        return Counter::kStale;
    case CacheStatus::kUpdating:
        return Counter::kUpdating;
    case CacheStatus::kRevalidated:
        return Counter::kRevalidated;
    case CacheStatus::kBypass:
        return Counter::kBypass;
    case CacheStatus::kNone:
    case CacheStatus::kMiss:
        break;
    }
    return Counter::kMiss;
}

Counter counter_of_sent(ngx_uint_t status) noexcept {
    switch (status) {
    case NGX_HTTP_PARTIAL_CONTENT:
        return Counter::kSent206;
    case NGX_HTTP_NOT_MODIFIED:
        return Counter::kSent304;
    default:
        break;
    }
    return status < NGX_HTTP_SPECIAL_RESPONSE        ? Counter::kSent2xx
           : status < NGX_HTTP_BAD_REQUEST           ? Counter::kSent3xx
           : status < NGX_HTTP_INTERNAL_SERVER_ERROR ? Counter::kSent4xx
                                                     : Counter::kSent5xx;
}

void count_latency(Zone* zone, Counter first, Counter sum, const uint32_t (&bounds)[cache::kBounds],
                   uint64_t us) noexcept {
    zone->store.count(static_cast<uint32_t>(first) + cache::bucket_of(bounds, us));
    count(zone, sum, us);
}

void count_lost(Ctx* ctx, uint64_t us) noexcept {
    count_latency(ctx->zone, Counter::kMissBucketFirst, Counter::kMissUs, cache::kMissBoundsUs, us);
    note_lost(ctx, us);
}

}  // namespace

void count_served(Ctx* ctx) noexcept {
    if (ctx->zone == nullptr || !usable(ctx->zone)) {
        return;
    }
    count(ctx->zone, counter_of(ctx->status));
    const uint64_t us = clock_us() - ctx->started_us;
    const bool from_store = ctx->pin && (ctx->status == CacheStatus::kHit || ctx->status == CacheStatus::kStale ||
                                         ctx->status == CacheStatus::kUpdating);
    if (!from_store) {
        count_lost(ctx, us);
        return;
    }
    count_latency(ctx->zone, Counter::kHitBucketFirst, Counter::kHitUs, cache::kHitBoundsUs, us);
    const int64_t length = shm::Store::body_length(ctx->pin);
    if (length > 0 && ctx->request->method != NGX_HTTP_HEAD) {
        count(ctx->zone, Counter::kBytesFromCache, static_cast<uint64_t>(length));
    }
    ctx->saved_us = shm::Store::fill_cost_us(ctx->pin);
    count(ctx->zone, Counter::kSavedUs, ctx->saved_us);
    note_served(ctx);
}

void count_origin(Zone* zone, uint64_t ms, ngx_uint_t status) noexcept {
    count(zone, Counter::kOriginMs, ms);
    const ngx_uint_t hundreds = status / 100;
    if (hundreds >= 2 && hundreds <= 5) {
        count(zone, static_cast<Counter>(static_cast<uint32_t>(Counter::kOrigin2xx) + hundreds - 2));
    }
}

// An answer of a location that caches nothing, an error_page say, is that to a request that the cache had before.
void count_sent(ngx_http_request_t* r) noexcept {
    Ctx* ctx = get_ctx(r);
    if (ctx == nullptr && r->internal) {
        ctx = find_ctx(r);
    }
    if (ctx != nullptr && ctx->zone != nullptr && !ctx->is_sent && usable(ctx->zone)) {
        ctx->is_sent = true;
        count(ctx->zone, counter_of_sent(r->headers_out.status));
    }
}

void count_pass(Ctx* ctx) noexcept {
    if (ctx->zone == nullptr || !usable(ctx->zone)) {
        return;
    }
    count(ctx->zone, Counter::kPass);
    count(ctx->zone, ctx->reason);
}

void count_passed_answer(Ctx* ctx) noexcept {
    if (ctx->reason != http::Reason::kMethod && ctx->reason != http::Reason::kUpgrade) {
        count_lost(ctx, clock_us() - ctx->started_us);
    }
}

}  // namespace slab_cache::ngx
