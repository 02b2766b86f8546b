// ngx/api/target_url.h — URLs that requests of the API name (cache/url.h).
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/url.h"

namespace slab_cache::ngx {

using cache::Target;

inline constexpr Bytes kNoTarget = "say entry?url=http%3A%2F%2Fhost%2Fpath";
inline constexpr Bytes kBadTarget =
    "url= is scheme://host/path, host/path or, unsigned, /path, percent-encoded, up to 16 KB";

// False for what is no URL, or when memory ran out.
bool parse_target(ngx_http_request_t* r, Bytes text, Target* out) noexcept;

// The argument `name` of the request's query, percent-decoded; false where there is none, or when memory ran out.
bool query_argument(ngx_http_request_t* r, Bytes name, Bytes* value) noexcept;

}  // namespace slab_cache::ngx
