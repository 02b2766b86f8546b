// ngx/conf/masks.h — bits of LocConf's masks, as nginx's setter writes them and the merge reads them.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

// nginx keeps the lowest bit of a mask for "set": ours are one higher.
inline constexpr ngx_uint_t bit(uint32_t b) noexcept { return ngx_uint_t{b} << 1; }
inline constexpr uint32_t bits(ngx_uint_t mask) noexcept { return static_cast<uint32_t>(mask >> 1); }

inline constexpr ngx_uint_t kStaleOffBit = 0x20000;         // keeps "off" apart from "not set"
inline constexpr ngx_uint_t kUpdatingWrittenBit = 0x40000;  // ... and "updating" from the default's
inline constexpr ngx_uint_t kStaleForceBit = 0x80000;

}  // namespace slab_cache::ngx
