#include "ngx/ngx.h"

#include "ngx/counters.h"

namespace slab_cache::ngx {
namespace {

Counter counter_of(CacheStatus status) noexcept {
    switch (status) {
    case CacheStatus::kHit:         return Counter::kHit;
    case CacheStatus::kExpired:     return Counter::kExpired;
    case CacheStatus::kStale:       return Counter::kStale;
    case CacheStatus::kUpdating:    return Counter::kUpdating;
    case CacheStatus::kRevalidated: return Counter::kRevalidated;
    case CacheStatus::kBypass:      return Counter::kBypass;
    case CacheStatus::kNone:
    case CacheStatus::kMiss:        break;
    }
    return Counter::kMiss;
}

}  // namespace

void count_served(Ctx* ctx) noexcept {
    count(ctx->zone, counter_of(ctx->status));
    const bool from_store = ctx->status != CacheStatus::kMiss && ctx->status != CacheStatus::kExpired
                            && ctx->status != CacheStatus::kBypass && ctx->pin;
    if (from_store) {
        ctx->saved_us = shm::Store::fill_cost_us(ctx->pin);
        count(ctx->zone, Counter::kSavedMs, ctx->saved_us / 1000);
    }
}

void count_pass(Ctx* ctx) noexcept {
    if (ctx->zone == nullptr || !usable(ctx->zone)) {
        return;
    }
    count(ctx->zone, Counter::kPass);
    count(ctx->zone, ctx->reason);
}

}  // namespace slab_cache::ngx
