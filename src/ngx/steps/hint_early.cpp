#include "ngx/glue/ngx.h"

#include "ngx/steps/hint_early.h"

#include "cache/key.h"
#include "cache/variant_marker.h"
#include "ngx/conf/credentials.h"
#include "ngx/glue/write_interim.h"
#include "ngx/request/accounting.h"
#include "ngx/request/cache_key.h"
#include "ngx/request/identity.h"
#include "ngx/zone/validity.h"

namespace slab_cache::ngx {
namespace {

bool is_navigation(ngx_http_request_t* r) noexcept {
    return r->method == NGX_HTTP_GET && base::equal_nocase(request_fields(r).get("Sec-Fetch-Mode"), "navigate");
}

// A copy on the request's pool: what the socket does not take at once stays with nginx. Empty: there are none.
Bytes find_hints(Ctx* ctx) noexcept {
    shm::Store& store = ctx->zone->store;
    const UrlOf url{ctx->request->pool, ctx->url.host, ctx->url.uri};
    shm::Pin pin;
    Bytes hints;
    if (store.find(cache::side_digest(ctx->digest, ctx->identity), ctx->variant_key, &pin) != shm::Status::kOk) {
        return {};
    }
    if ((shm::Store::flags(pin) & cache::kHintsFlag) != 0 && shm::Store::stale_until(pin) >= now_sec() &&
        is_of(ctx, pin) &&
        validity_of(ctx->zone, url, pin) == shm::Validity::kValid) {  // soft purges, too, say that it has changed
        store.touch(pin);
        if (!pool_copy(ctx->request->pool, shm::Store::head(pin), &hints)) {
            hints = {};
        }
    }
    store.unpin(&pin);
    return hints;
}

}  // namespace

void hint_early(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    if (!can_send_early_hints(r) || !is_navigation(r) || has_unkeyed_credentials(r)) {
        return;
    }
    const Bytes hints = find_hints(ctx);
    if (!hints.empty() && send_early_hints(r, hints)) {
        count(ctx->zone, Counter::kEarlyHints);
    }
}

}  // namespace slab_cache::ngx
