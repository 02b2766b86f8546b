// Making room in a full zone whatever it is full of.
#include <gtest/gtest.h>

#include "support/expect_audit.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

// Small objects leave no whole page anywhere; an object of unknown length wants one.
TEST(Room, is_made_for_objects_of_unknown_length_in_a_zone_full_of_small_ones) {
    Zone zone(8 << 20);
    for (uint32_t i = 0; i < 4000; i++) {
        ASSERT_EQ(put(zone.store, "k" + std::to_string(i), pattern(3000, i)), Status::kOk);
    }
    uint32_t failed = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        Object o;
        o.key = "u" + std::to_string(i);
        o.body = pattern(4000, i);
        o.known_length = false;
        failed += put(zone.store, o) == Status::kOk ? 0 : 1;
    }
    EXPECT_EQ(failed, 0u);
    EXPECT_AUDIT(zone.store);
}

}  // namespace
}  // namespace slab_cache::test
