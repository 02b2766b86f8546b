#include "ngx/glue/ngx.h"

#include "ngx/request/asker.h"

#include "cache/token.h"
#include "ngx/request/cache_key.h"

namespace slab_cache::ngx {

bool is_signed(ngx_http_request_t* r, const LocConf* conf) noexcept {
    return conf->api_secret.len != 0 && r->headers_in.authorization != nullptr &&
           cache::is_token(view(r->headers_in.authorization->value));
}

cache::Asker asker_of(ngx_http_request_t* r) noexcept {
    // A signature does not cover the Host field: it must not say what is meant.
    if (is_signed(r, loc_conf<LocConf>(r))) {
        return {is_https(r), {}};
    }
    return {is_https(r), r->headers_in.host != nullptr ? view(r->headers_in.host->value) : host_of(r)};
}

}  // namespace slab_cache::ngx
