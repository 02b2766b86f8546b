// Buckets of the latency histograms.
#include "cache/histogram.h"

#include <gtest/gtest.h>

namespace slab_cache::cache {
namespace {

TEST(Histogram, a_bound_belongs_to_its_bucket) {
    for (uint32_t i = 0; i < kBounds; i++) {
        EXPECT_EQ(bucket_of(kHitBoundsUs, kHitBoundsUs[i]), i);
        EXPECT_EQ(bucket_of(kMissBoundsUs, kMissBoundsUs[i]), i);
    }
}

TEST(Histogram, what_is_above_the_last_bound_is_in_the_last_bucket) {
    EXPECT_EQ(bucket_of(kHitBoundsUs, UINT64_MAX), kBounds);
    EXPECT_EQ(bucket_of(kHitBoundsUs, 0), 0u);
}

TEST(Histogram, bounds_grow) {
    for (uint32_t i = 1; i < kBounds; i++) {
        EXPECT_LT(kHitBoundsUs[i - 1], kHitBoundsUs[i]);
        EXPECT_LT(kMissBoundsUs[i - 1], kMissBoundsUs[i]);
    }
}

}  // namespace
}  // namespace slab_cache::cache
