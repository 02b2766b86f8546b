// cache/variant_marker.h — the marker that stands under a URL whose responses vary.
//
// What        A marker is an entry under the primary key whose head lists, newest first, the specs (http/vary.h) that
//             responses of this URL named, and then the digests of the variants stored, oldest first. A request tries the
//             specs in turn; the variant itself is an ordinary entry under the longer key.
//             | specs:8 | variants:8 | (length:16 spec)* | (digest:128)* |
// Threading   pure functions. Two fills that write the marker at once lose at most one digest from the list: that
//             variant is then not counted against `max`, nothing else.
// Errors      marker bytes are input: every length is checked; nonsense reads as "no spec".
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/arena.h"
#include "base/bytes.h"
#include "http/vary.h"
#include "shm/store.h"

namespace slab_cache::cache {

using base::Bytes;

// NewEntry::flags
inline constexpr uint32_t kMarkerFlag = 0x1;
inline constexpr uint32_t kStatusFlag = 0x2;    // a status alone: nginx makes the page for each client anew
inline constexpr uint32_t kRedirectFlag = 0x4;  // X-Accel-Redirect: made for each client anew
inline constexpr uint32_t kGzipVaryFlag = 0x8;  // whoever answered left Vary to nginx (r->gzip_vary)
inline constexpr uint32_t kInterceptedFlag =
    0x10;  // with kStatusFlag: the origin's status, its fields are for variables alone
inline constexpr uint32_t kOwnLocationFlag = 0x20;  // nginx makes its Location absolute, by each client's address of us
inline constexpr uint32_t kHeadFlag = 0x40;  // of a HEAD: its Content-Length is a field, and speaks of a body elsewhere
inline constexpr uint32_t kControlsFlag = 0x80;  // has what the origin told nginx to do (ngx/request/controls.h)
inline constexpr uint32_t kNoServerFlag =
    0x100;                                      // Server is the origin's to send (proxy_pass_header), and it sent none
inline constexpr uint32_t kHintsFlag = 0x200;   // no response: what a 103 says before one (ngx/fill/remember_hints.h)
inline constexpr uint32_t kPushedFlag = 0x400;  // no origin was asked
inline constexpr uint32_t kKindFlags = kStatusFlag | kRedirectFlag | kGzipVaryFlag | kInterceptedFlag |
                                       kOwnLocationFlag | kHeadFlag | kControlsFlag | kNoServerFlag;
inline constexpr uint32_t kMaxSpecs = 4;
inline constexpr uint32_t kMaxVariants = 255;

inline bool is_marker(uint32_t flags) noexcept { return (flags & kMarkerFlag) != 0; }

struct Marker {
    uint32_t spec_count = 0;
    Bytes spec[kMaxSpecs];
    uint32_t variant_count = 0;
    Bytes variants;  // 16 bytes each

    shm::Digest variant(uint32_t i) const noexcept;
};

bool decode_marker(Bytes head, Marker* out) noexcept;

// The marker after a variant with this spec and digest was stored: the spec first, the digest last. Digests beyond `max`
// go to `dropped` (at most kMaxVariants). `old` may be empty. Returns the bytes written, 0 when `capacity` is too small.
struct Dropped {
    uint32_t count = 0;
    shm::Digest digest[kMaxVariants];
};
size_t encode_marker(const Marker& old, Bytes spec, const shm::Digest& variant, uint32_t max, char* out,
                     size_t capacity, Dropped* dropped) noexcept;
// True when the marker already lists both, so that it need not be written again.
bool marker_knows(const Marker& marker, Bytes spec, const shm::Digest& variant) noexcept;

// key of a variant: primary key, a mark (key.h), spec, and what the request says to it.
bool variant_key(base::Arena arena, Bytes primary, Bytes spec, const http::Fields& request,
                 const http::VaryPolicy& policy, Bytes* out) noexcept;

}  // namespace slab_cache::cache
