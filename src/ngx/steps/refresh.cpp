#include "ngx/glue/ngx.h"

#include "ngx/steps/refresh.h"

#include <math.h>

#include "ngx/request/accounting.h"
#include "ngx/fill/clone.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/zone/hit_for_miss.h"
#include "ngx/steps/lookup.h"

namespace slab_cache::ngx {

bool refresh_in_background(Ctx* ctx) noexcept {
    if (!is_clonable(ctx) || carries_unkeyed_args(ctx) || !has_room_for_fill(ctx->zone) ||
        origin_failing(ctx->zone, lease_digest(ctx))) {
        return false;
    }
    shm::Ticket ticket;
    if (ctx->zone->store.lease_acquire(lease_digest(ctx), now_ms(), static_cast<uint32_t>(ctx->conf->lock_age),
                                       &ticket) != shm::LeaseAnswer::kOwned) {
        return false;
    }
    ctx->stale = ctx->zone->store.repin(ctx->pin);
    ctx->stale_servable = true;
    const bool started = start_fill(ctx, FillKind::kBackground, ticket);
    ctx->zone->store.unpin(&ctx->stale);
    ctx->stale_servable = false;
    if (started) {
        count(ctx->zone, Counter::kBackgroundFills);
    }
    return started;
}

void maybe_refresh_early(Ctx* ctx, const http::StoredFacts& facts) noexcept {
    if (ctx->conf->refresh_beta <= 0) {
        return;
    }
    const double cost_sec = shm::Store::fill_cost_us(ctx->pin) / 1e6;
    const double beta = static_cast<double>(ctx->conf->refresh_beta) / 1000.0;
    const double uniform = (static_cast<double>(ngx_random() % 0x40000000) + 1.0) / 0x40000001;
    const double early_sec = -cost_sec * beta * log(uniform);
    if (static_cast<double>(facts.fresh_until - now_sec()) <= early_sec) {
        (void) refresh_in_background(ctx);
    }
}

}  // namespace slab_cache::ngx
