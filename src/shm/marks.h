// shm/marks.h — two small lossy tables without locks: short-lived marks, and how often a key was missed.
//
// What        A mark is one word: tag:24 | value:8 | until:32. Four to a group; the one that ends first gives way. None
//             lasts for more than ten minutes: when the clock is set back, marks end rather than stay.
//             The uses sketch: lines of 31 cells (tag:12 | count:4) and the epoch the line was last halved in.
// Threading   anybody; one relaxed word each. A lost update costs one mark or one count.
#pragma once

#include <cstdint>

#include "shm/layout.h"
#include "shm/context.h"

namespace slab_cache::shm {

void set_mark(const Context& c, const Digest& digest, uint8_t value, int64_t until_sec) noexcept;
void prefetch_mark(const Context& c, const Digest& digest) noexcept;
uint8_t get_mark(const Context& c, const Digest& digest, int64_t now_sec) noexcept;
uint32_t count_use(const Context& c, const Digest& digest) noexcept;

// Seconds in 32 bits, saturated at both ends.
constexpr uint32_t saturate_sec(int64_t sec) noexcept {
    return sec < 0 ? 0 : sec > int64_t{0xffffffff} ? 0xffffffffU : static_cast<uint32_t>(sec);
}

}  // namespace slab_cache::shm
