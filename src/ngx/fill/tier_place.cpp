#include "ngx/glue/ngx.h"

#include "ngx/fill/tier_place.h"

#include "ngx/request/cache_key.h"
#include "ngx/request/identity.h"
#include "ngx/request/varied_fields.h"
#include "ngx/zone/user_area.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kIdentityDigits = 16;
constexpr char kDigit[] = "0123456789abcdef";

bool add_identity(ngx_pool_t* pool, const Ctx* ctx, TierPlace* place) noexcept {
    uint64_t identity = 0;
    auto* text = static_cast<u_char*>(ngx_pnalloc(pool, kIdentityDigits));
    if (text == nullptr || !read_shared_identity(ctx, &identity)) {
        return false;
    }
    for (size_t i = kIdentityDigits; i-- > 0; identity >>= 4) {
        text[i] = static_cast<u_char>(kDigit[identity & 15]);
    }
    place->shared = {reinterpret_cast<char*>(text), kIdentityDigits};
    return true;
}

// One more field than any default key has.
bool add_to_text(ngx_pool_t* pool, Bytes more, Bytes* text) noexcept {
    auto* p = static_cast<u_char*>(ngx_pnalloc(pool, text->size() + 1 + more.size()));
    if (p == nullptr) {
        return false;
    }
    u_char* end = ngx_cpymem(p, text->data(), text->size());
    *end++ = '|';
    ngx_memcpy(end, more.data(), more.size());
    *text = {reinterpret_cast<char*>(p), text->size() + 1 + more.size()};
    return true;
}

}  // namespace

bool uses_tier(const Ctx* ctx) noexcept {
    const ngx_http_request_t* r = ctx->request;
    return ctx->conf->tier != nullptr && (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0 && !ctx->part.is_asked() &&
           !is_head_apart(r, ctx->conf) && !is_head_alone(ctx);
}

bool tier_place_of(const Ctx* ctx, ngx_http_request_t* r, TierPlace* place) noexcept {
    ngx_pool_t* pool = r->pool;
    const LocConf* conf = ctx->conf;
    const bool is_default = conf->key == nullptr;
    UrlOf url = {pool, {}, {}};
    Bytes key;
    *place = {};
    place->conf = conf->tier;
    place->identity = ctx->identity;
    place->takes_any = !is_default || ctx->is_plain;
    if (!pool_copy(pool, ctx->url.host, &url.host) || !pool_copy(pool, ctx->url.uri, &url.uri) ||
        !pool_copy(pool, ctx->key, &key) || !pool_copy(pool, ctx->url.inner_path, &place->inner_path) ||
        !pool_copy(pool, ctx->url.inner_args, &place->inner_args)) {
        return false;
    }
    place->of = {ctx->zone, url, key, varied_fields(r, conf, kAnySpec), &conf->policy};
    if (!cache::tier_text(arena_of(pool), ctx->url_key, is_default && ctx->is_plain, &place->text) ||
        (is_default && !add_identity(pool, ctx, place))) {
        return false;
    }
    return !is_default || ctx->is_plain || add_to_text(pool, place->shared, &place->text);
}

bool object_key_of(const TierPlace& place, cache::StoreKey* key) noexcept {
    return cache::object_store_key(view(place.conf->prefix), place.text, key);
}

bool variant_key_of(const TierPlace& place, Bytes spec, cache::StoreKey* key) noexcept {
    return cache::variant_store_key(arena_of(place.of.url.pool), view(place.conf->prefix), place.text, spec,
                                    place.of.request, place.of.policy->vary, key);
}

cache::StreamId tier_position(const TierConf& conf, Zone* zone) noexcept {
    cache::FleetPosition here;
    const cache::FleetArea* area =
        conf.fleet != nullptr && zone->fleet == conf.fleet && usable(zone) ? fleet_of(zone) : nullptr;
    return area != nullptr && cache::read_position(*area, &here) ? here.id : cache::StreamId{};
}

}  // namespace slab_cache::ngx
