// cache/tier_key.h — where a cached response lies in Redis or memcached: keys that any program can write.
//
// Text        of a cache key, printable ASCII without blanks:
//             the default key      scheme://host[:port]/path?args          https://example.org/report/7
//             any other            key:field|field|…                       key:report|7
//             In the second form what is not printable, and % | #, is percent-encoded (%7C); a part that is hidden (cache/key.h) is
//             #, and its SHA-256 in hex. No two lists of fields have one text: the default key of a host or a URI with other
//             bytes than URLs have is written in the second form.
// Store key   prefix text, where both have at most 200 bytes; else prefix SHA-256(text) in lower-case hex.
//             variant: prefix vary:SHA-256(text LF spec LF values); spec and values as in http/vary.h.
//             lease:   prefix lease:… of the object's key.
//             So it has at most 206 bytes, and is one that both servers take (memcached: 250, no blanks, no controls).
// Servers     of several memcached, a key lies on the one whose MurmurHash3-32 (seed 0) of host:port-key is highest; of equals, on
//             the one whose host:port is the greater text. That is what pymemcache's HashClient does, and Django with it: they find
//             the same server where it is spelled the same, with the port. One that is down is not stood in for.
// Threading   pure functions.
// Ownership   a StoreKey is a value; a text points into the key's or the arena's memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/arena.h"
#include "base/bytes.h"
#include "http/fields.h"
#include "http/policy.h"

namespace slab_cache::cache {

using base::Bytes;

inline constexpr size_t kMaxTierPrefix = 64;
inline constexpr size_t kMaxPlainStoreKey = 200;  // prefix and text

struct StoreKey {
    char text[kMaxPlainStoreKey + 8];
    size_t size = 0;
    Bytes view() const noexcept { return {text, size}; }
};

// Printable, without blanks, not too long. May be empty.
bool is_tier_prefix(Bytes prefix) noexcept;

// `key`: of a URL, without slot and variant. is_default: by the default slab_cache_key. False for nonsense, or when memory ran out.
bool tier_text(const base::Arena& arena, Bytes key, bool is_default, Bytes* text) noexcept;

// REQUIRES is_tier_prefix(prefix). False when OpenSSL fails.
bool object_store_key(Bytes prefix, Bytes text, StoreKey* out) noexcept;
bool variant_store_key(const base::Arena& arena, Bytes prefix, Bytes text, Bytes spec, const http::Fields& request,
                       const http::VaryPolicy& policy, StoreKey* out) noexcept;
StoreKey lease_store_key(Bytes prefix, const StoreKey& object) noexcept;

// Which of `count` servers, each "host:port". 0 where there is one.
uint32_t tier_server(const Bytes* server, uint32_t count, Bytes store_key) noexcept;

}  // namespace slab_cache::cache
