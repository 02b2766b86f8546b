#include "ngx/glue/ngx.h"

#include "ngx/request/heavy_hitters.h"

#include "cache/key.h"
#include "ngx/zone/user_area.h"

namespace slab_cache::ngx {
namespace {

// A route that never was stored for a reason of its own is only cold.
http::Reason reason_of(const Ctx* ctx) noexcept {
    if (ctx->reason != http::Reason::kNone) {
        return ctx->reason;
    }
    const bool was_stored = ctx->status == CacheStatus::kExpired || ctx->status == CacheStatus::kRevalidated;
    return was_stored ? http::Reason::kExpired : http::Reason::kNotStored;
}

void note(Ctx* ctx, cache::Sketch* sketch, uint64_t us, uint32_t weight, http::Reason reason) noexcept {
    cache::Sample sample{};
    if (!route_name(ctx->request->pool, ctx->url.host, ctx->url.uri, &sample.name)) {
        return;
    }
    sample.fingerprint = route_fingerprint(ctx->zone, sample.name);
    sample.weight = us * weight;
    sample.count = weight;
    sample.note = static_cast<uint16_t>(reason);
    cache::sketch_add(sketch, sample, now_sec(), now_ms());
}

}  // namespace

bool route_name(ngx_pool_t* pool, Bytes host, Bytes uri, Bytes* name) noexcept {
    const Bytes path = base::slice(uri, 0, uri.find('?'));
    auto* p = static_cast<char*>(ngx_pnalloc(pool, host.size() + path.size() + 1));
    if (p == nullptr) {
        return false;
    }
    ngx_memcpy(p, host.data(), host.size());
    ngx_memcpy(p + host.size(), path.data(), path.size());
    *name = {p, host.size() + path.size()};
    return true;
}

uint64_t route_fingerprint(Zone* zone, Bytes name) noexcept { return cache::tag_selector(name, zone->store.secret()); }

void note_served(Ctx* ctx) noexcept {
    const uint32_t weight = ctx->zone->sampler.take(now_sec());
    if (weight == 0) {
        return;
    }
    if (UserArea* area = user_area(ctx->zone)) {
        note(ctx, &area->served, ctx->saved_us, weight, http::Reason::kNone);
    }
}

void note_lost(Ctx* ctx, uint64_t us) noexcept {
    const uint32_t weight = ctx->zone->lost_sampler.take(now_sec());
    if (weight == 0) {
        return;
    }
    if (UserArea* area = user_area(ctx->zone)) {
        note(ctx, &area->lost, us, weight, reason_of(ctx));
    }
}

}  // namespace slab_cache::ngx
