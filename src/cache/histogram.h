// cache/histogram.h — fixed buckets of a latency histogram.
//
// Units       microseconds. Bucket i holds what is at most bounds[i]; the last one, everything above the last bound.
#pragma once

#include <cstdint>

namespace slab_cache::cache {

inline constexpr uint32_t kBounds = 15;
inline constexpr uint32_t kBuckets = kBounds + 1;

inline constexpr uint32_t kHitBoundsUs[kBounds] = {2,    5,    10,   20,    50,    100,    200,    500,
                                                   1000, 2000, 5000, 10000, 50000, 100000, 1000000};
inline constexpr uint32_t kMissBoundsUs[kBounds] = {
    500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000, 30000000};

constexpr uint32_t bucket_of(const uint32_t (&bounds)[kBounds], uint64_t us) noexcept {
    uint32_t i = 0;
    while (i < kBounds && us > bounds[i]) {
        i++;
    }
    return i;
}

}  // namespace slab_cache::cache
