#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

#include <new>

#include "ngx/glue/clock.h"

namespace slab_cache::ngx {
namespace {

void clean_ctx(void* data) noexcept {
    auto* ctx = static_cast<Ctx*>(data);
    detach_request(ctx);
    if (ctx->zone != nullptr) {
        ctx->zone->store.unpin(&ctx->pin);
        ctx->zone->store.unpin(&ctx->stale);
    }
}

}  // namespace

// Pins stay: what was sent may still be on its way.
void detach_request(Ctx* ctx) noexcept {
    cancel_wait(&ctx->waiter);
    if (ctx->leave_fills != nullptr) {
        ctx->leave_fills(ctx);
    }
}

Bytes status_word(CacheStatus status) noexcept {
    switch (status) {
    case CacheStatus::kNone:
        return {};
    case CacheStatus::kMiss:
        return "MISS";
    case CacheStatus::kBypass:
        return "BYPASS";
    case CacheStatus::kExpired:
        return "EXPIRED";
    case CacheStatus::kStale:
        return "STALE";
    case CacheStatus::kUpdating:
        return "UPDATING";
    case CacheStatus::kRevalidated:
        return "REVALIDATED";
    case CacheStatus::kHit:
        return "HIT";
    }
    return {};
}

Ctx* find_ctx(ngx_http_request_t* r) noexcept {
    if (Ctx* ctx = get_ctx(r)) {
        return ctx;
    }
    for (ngx_pool_cleanup_t* cln = r->pool->cleanup; cln != nullptr; cln = cln->next) {
        if (cln->handler == clean_ctx && static_cast<Ctx*>(cln->data)->request == r) {
            return static_cast<Ctx*>(cln->data);
        }
    }
    return nullptr;
}

bool was_refused(ngx_http_request_t* r) noexcept {
    if (!r->internal) {
        return false;
    }
    for (ngx_pool_cleanup_t* cln = r->pool->cleanup; cln != nullptr; cln = cln->next) {
        const auto* ctx = static_cast<Ctx*>(cln->data);
        if (cln->handler == clean_ctx && ctx->request == r && ctx != get_ctx(r) && !ctx->was_let_in) {
            return true;
        }
    }
    return false;
}

Ctx* make_ctx(ngx_http_request_t* r, LocConf* conf) noexcept {
    // One block for both: the hot path pays one pool allocation.
    auto* cln = ngx_pool_cleanup_add(r->pool, sizeof(Ctx));
    if (cln == nullptr) {
        return nullptr;
    }
    auto* ctx = static_cast<Ctx*>(cln->data);
    new (ctx) Ctx{};
    cln->handler = clean_ctx;
    ctx->request = r;
    ctx->conf = conf;
    ctx->started_us = clock_us();
    ctx->age = -1;
    ctx->ttl = -1;
    ngx_http_set_ctx(r, ctx, ngx_http_slab_cache_module);
    return ctx;
}

}  // namespace slab_cache::ngx
