// ngx/target.h — a URL that somebody names to the API, and the key that the default slab_cache_key makes of it.
//
// What        "scheme://host[:port]/path?args", "host/path" (http), or "/path" (scheme and host of the request that asks,
//             which must not be a signed one).
//             Fragments are cut off. Bytes that no client sends bare (controls, blanks, non-ASCII) are percent-encoded.
// Keys        are per location: an object under another slab_cache_key or with slab_cache_key_args is not under this key,
//             but its selectors are the same, so that purges find it.
#pragma once

#include "ngx/ngx.h"

#include "cache/key.h"

namespace slab_cache::ngx {

struct Target {
    Bytes scheme;        // "http" or "https"
    Bytes authority;     // as in the key: lower case, the port where it is not the scheme's own
    Bytes uri;           // path and arguments, begins with '/'
    cache::Url url;      // as selectors see it
};

// False for what is no such URL, or when memory ran out.
bool parse_target(ngx_http_request_t* r, Bytes text, Target* out) noexcept;

// The default key. Empty when it is too long, or memory ran out.
Bytes default_key_of(ngx_pool_t* pool, const Target& target) noexcept;

// The argument `name` of the request's query, percent-decoded; false where there is none.
bool query_argument(ngx_http_request_t* r, Bytes name, Bytes* value) noexcept;

}  // namespace slab_cache::ngx
