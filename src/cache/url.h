// cache/url.h — a URL that somebody names, and the key that the default slab_cache_key makes of it.
//
// What        "scheme://host[:port]/path?args", "host/path" (http), or "/path" (scheme and host of the request that asks).
//             Fragments are cut off. Bytes that no client sends bare (controls, blanks, non-ASCII) are percent-encoded.
// Keys        are per location: an object under another slab_cache_key or with slab_cache_key_args is not under this key,
//             but its selectors are the same, so that purges find it.
// Ownership   results point into the arguments or the arena.
#pragma once

#include "base/arena.h"
#include "cache/key.h"

namespace slab_cache::cache {

inline constexpr size_t kMaxUrlBytes = 16 * 1024;

// The request that names the URL: what "/path" alone means.
struct Asker {
    bool is_https;
    Bytes authority;  // its Host; empty: it cannot say, and "/path" alone is no URL
};

struct Target {
    Bytes scheme;     // "http" or "https"
    Bytes authority;  // as in the key: lower case, the port where it is not the scheme's own
    Bytes uri;        // path and arguments, begins with '/'
    Url url;          // as selectors see it
};

// False for what is no such URL, or when memory ran out.
bool parse_target(const base::Arena& arena, const Asker& asker, Bytes text, Target* out) noexcept;

// The default key. Empty when it is too long, or memory ran out.
Bytes default_key_of(const base::Arena& arena, const Target& target) noexcept;

// host, decoded path and arguments of a canonical URI (path[?args]). False when memory ran out.
bool split_url(const base::Arena& arena, Bytes host, Bytes uri, Url* out) noexcept;

}  // namespace slab_cache::cache
