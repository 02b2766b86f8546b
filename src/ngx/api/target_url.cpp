#include "ngx/glue/ngx.h"

#include "ngx/api/target_url.h"

#include "http/escape.h"
#include "ngx/request/asker.h"

namespace slab_cache::ngx {

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
