// Making room in a full zone whatever it is full of.
#include <gtest/gtest.h>

#include "shm/counters.h"
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

TEST(PinBudget, is_counted_as_spent_when_slow_readers_hold_a_quarter_of_a_shard) {
    Zone zone(4 << 20);
    std::vector<shm::Pin> pins;
    for (uint32_t i = 0; i < 30; i++) {
        const std::string key = "k" + std::to_string(i);
        ASSERT_EQ(put(zone.store, key, pattern(60000, i)), Status::kOk);
        shm::Pin pin;
        ASSERT_EQ(zone.store.find(digest_of(key), key, &pin), Status::kOk);
        pins.push_back(pin);
    }
    zone.store.sweep(kNow, 1, 1);
    const auto spent = [&zone] { return zone.store.counter_sum(static_cast<uint32_t>(shm::Counter::kPinBudget)); };
    EXPECT_EQ(spent(), 0u) << "pinned, but still of use to others";
    for (uint32_t i = 0; i < 30; i++) {
        ASSERT_EQ(zone.store.remove(digest_of("k" + std::to_string(i))), Status::kOk);
    }
    zone.store.sweep(kNow, 1, 1);
    const uint64_t held = spent();
    EXPECT_GT(held, 0u);
    for (shm::Pin& pin : pins) {
        zone.store.unpin(&pin);
    }
    zone.store.sweep(kNow, 1, 1);
    EXPECT_EQ(spent(), held) << "they let go";
    EXPECT_AUDIT(zone.store);
}

}  // namespace
}  // namespace slab_cache::test
