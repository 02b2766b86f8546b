#include "ngx/glue/ngx.h"

#include "ngx/api/target_url.h"

#include "ngx/api/signed_request.h"
#include "http/escape.h"
#include "ngx/request/cache_key.h"

namespace slab_cache::ngx {

cache::Asker asker_of(ngx_http_request_t* r) noexcept {
    // A signature does not cover the Host field: it must not say what is meant.
    if (is_signed(r, loc_conf<LocConf>(r))) {
        return {is_https(r), {}};
    }
    return {is_https(r),
            r->headers_in.host != nullptr ? view(r->headers_in.host->value) : host_of(r)};
}

bool parse_target(ngx_http_request_t* r, Bytes text, Target* out) noexcept {
    return cache::parse_target(arena_of(r->pool), asker_of(r), text, out);
}

bool query_argument(ngx_http_request_t* r, Bytes name, Bytes* value) noexcept {
    Bytes raw;
    if (!http::find_argument(view(r->args), name, &raw)) {
        return false;
    }
    char* p = arena_of(r->pool).get(raw.size());
    if (p == nullptr) {
        return false;
    }
    *value = {p, http::unescape(raw, p)};
    return true;
}

}  // namespace slab_cache::ngx
