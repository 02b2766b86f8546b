// http/args.h — query arguments in the key and in the fill (slab_cache_key_args).
//
// What        all: as they came. none: no arguments. Else: those whose name matches `only` (if
//             given) and does not match `drop`; sorted by name on `sort`, arguments of one name
//             keeping their order.
// Choices     What is dropped from the key is dropped from the request to the origin too, or
//             unkeyed input could poison the cache; the fill keeps the original order. Names
//             compare as written, percent-encoding and all: a differently written name is not
//             dropped, hence still keyed. "a&&b" has an argument with an empty name between.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::http {

using base::Bytes;

struct ArgsPolicy {
    bool none = false;
    bool sort = false;
    const Bytes* drop = nullptr;  // globs
    uint32_t drop_count = 0;
    const Bytes* only = nullptr;  // globs
    uint32_t only_count = 0;
};

// More arguments than this are kept in their order: still a correct key, if not the canonical one.
inline constexpr uint32_t kMaxSortedArgs = 256;

// `*` matches any bytes, everything else itself. No backtracking beyond the last star: O(pattern x
// text) at worst, without recursion.
bool glob_match(Bytes pattern, Bytes text) noexcept;

// The arguments of the key. Returns their length, at most args.size(); written when that fits.
size_t canonical_args(Bytes args, const ArgsPolicy& policy, char* out, size_t cap) noexcept;

// Does `value` show what the key does not know of `args`: all of them as they came, an argument that is
// left out, or the value of one? What has one or two bytes is found by itself only.
bool shows_unkeyed(Bytes value, Bytes args, const ArgsPolicy& policy) noexcept;

// The arguments of the request to the origin: dropped ones missing, order kept.
size_t fill_args(Bytes args, const ArgsPolicy& policy, char* out, size_t cap) noexcept;

}  // namespace slab_cache::http
