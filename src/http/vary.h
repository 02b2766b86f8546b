// http/vary.h — variants: what a response varies on, and the secondary key of a request (RFC 9111
// §4.1).
//
// What        A *spec* is the canonical text of a response's Vary: names in lower case, sorted,
//             unique, joined by ","; empty for no variants. The spec is stored under the URL; with
//             it, a request gives the variant's key.
// Key         per name of the spec: 4 bytes little-endian (0 = absent, else 1 + length), then the
//             normalised value.
// Choices     Lines are joined by ","; blanks around commas outside quoted strings are dropped;
//             Accept-Language is folded to lower case; Accept-Encoding becomes one byte, the set of
//             {gzip, br, zstd} accepted with q > 0 (and whether identity is refused); Cookie can be
//             reduced to named cookies. Absent differs from empty. A cookie that is there twice, or
//             under a name that only some servers take for it, differs from both.
// Hot path    build_vary_key(): no allocation, one pass over the request's fields per name of the
//             spec.
#pragma once

#include <cstddef>
#include <cstdint>

#include "http/fields.h"
#include "http/policy.h"

namespace slab_cache::http {

inline constexpr uint32_t kMaxVaryNames = 32;

struct VarySpec {
    // `*`, a member that is no field name, or more than kMaxVaryNames of them: never reuse.
    bool star = false;
    // Of the spec text. More than the buffer held: nothing useful was written.
    size_t length = 0;
    // Why it is a star: too many names.
    bool too_many = false;
};

VarySpec build_vary_spec(const Fields& response, const VaryPolicy& policy, char* out, size_t cap) noexcept;

// Bytes the key needs; it has been written if that is at most `cap`. A spec that is damaged (it
// comes out of shared memory) yields some key, never an access outside the buffers.
size_t build_vary_key(Bytes spec, const Fields& request, const VaryPolicy& policy, char* out, size_t cap) noexcept;

// The same request has the same key under both.
bool makes_same_keys(const VaryPolicy& a, const VaryPolicy& b) noexcept;

// Bits of the Accept-Encoding byte.
inline constexpr uint8_t kAcceptsGzip = 0x1;
inline constexpr uint8_t kAcceptsBrotli = 0x2;
inline constexpr uint8_t kAcceptsZstd = 0x4;
inline constexpr uint8_t kRefusesIdentity = 0x8;
uint8_t accepted_encodings(const Fields& request) noexcept;
// The Accept-Encoding that says just this set: what the origin is sent, so that it cannot answer
// anything that the set does not stand for. Static text.
Bytes encodings_text(uint8_t set) noexcept;

// One of the encodings that the byte above can tell apart: identity (or empty), gzip, x-gzip, br,
// zstd.
bool is_known_encoding(Bytes content_encoding) noexcept;

// The request names this one of them among what it takes. Identity is always taken.
bool takes_encoding(const Fields& request, Bytes content_encoding) noexcept;

}  // namespace slab_cache::http
