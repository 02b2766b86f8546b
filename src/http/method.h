// http/method.h — request methods and what they promise (RFC 9110 §9).
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::http {

using base::Bytes;

enum class Method : uint8_t {
    kGet,
    kHead,
    kQuery,  // safe, with a body that is part of the key
    kPost,
    kPut,
    kDelete,
    kPatch,
    kOptions,
    kTrace,
    kConnect,
    kPropfind,
    kReport,
    kSearch,
    kUnknown,
};

// Bits of Policy::methods: what slab_cache_methods lists.
inline constexpr uint32_t kCacheGet = 0x1;
inline constexpr uint32_t kCacheHead = 0x2;
inline constexpr uint32_t kCacheQuery = 0x4;
inline constexpr uint32_t kCachePost = 0x8;

// Methods are case-sensitive: "get" is unknown.
Method parse_method(Bytes name) noexcept;

// Safe methods change nothing at the origin; an unknown method is taken to be unsafe (RFC 9111
// §4.4).
bool is_safe(Method method) noexcept;
inline bool is_unsafe(Method method) noexcept { return !is_safe(method); }

// The bit of a method in Policy::methods; 0 for what can never be cached.
uint32_t method_bit(Method method) noexcept;

}  // namespace slab_cache::http
