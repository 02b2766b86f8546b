// cache/memcached_command.h — meta commands as memcached 1.6 reads them. What it says to them: memcached_reply.h.
//
// Ownership   written to the caller's memory, of kMemcachedCommandRoom bytes at least.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::cache {

using base::Bytes;

inline constexpr size_t kMaxMemcachedKey = 250;
inline constexpr size_t kMemcachedCommandRoom = kMaxMemcachedKey + 96;
// Longer lifetimes are taken for seconds since 1970.
inline constexpr uint32_t kMaxMemcachedTtl = 30 * 86400;

// All REQUIRE a key that memcached takes (tier_key.h). They return the end of what they wrote.

// Asks for the value, its lifetime, flags and number (c). lease_sec other than 0: where there is none, an empty one is put in its
// place for so long, and who put it there is told so (W); others are told that somebody has (Z).
char* write_mg(char* to, Bytes key, uint32_t lease_sec) noexcept;
// The value and CRLF go behind it. `cas`, where not 0: only in the place of the one that had this number. ttl_sec: at least 1.
char* write_ms_head(char* to, Bytes key, size_t value_bytes, uint32_t ttl_sec, uint64_t cas) noexcept;
char* write_md(char* to, Bytes key, uint64_t cas) noexcept;  // cas: as above

}  // namespace slab_cache::cache
