// Invalidations: purges that anybody can bring about. They count as purges do, and cost nobody else anything.
#include <gtest/gtest.h>

#include "shm/counters.h"
#include "support/expect_audit.h"
#include "support/tagged.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using shm::Pin;
using shm::PurgeMode;
using shm::Validity;
using shm::Writer;

void invalidate(Store& store, const std::string& tag, PurgeMode mode = PurgeMode::kHard) {
    const uint64_t fp = fingerprint(tag);
    EXPECT_GT(store.invalidate(&fp, 1, mode, kNow), 0u);
}

uint64_t counted(const Store& store, shm::Counter counter) { return store.counter_sum(static_cast<uint32_t>(counter)); }

TEST(Invalidation, takes_exactly_the_objects_with_the_fingerprint) {
    Zone zone;
    auto other = zone.attach(2);
    ASSERT_EQ(put(zone.store, tagged("a", {"x", "y"})), Status::kOk);
    ASSERT_EQ(put(zone.store, tagged("b", {"y", "z"})), Status::kOk);
    invalidate(zone.store, "x");
    EXPECT_EQ(validity_of_key(*other, "a"), Validity::kPurged);
    EXPECT_EQ(validity_of_key(*other, "b"), Validity::kValid);
    invalidate(zone.store, "z", PurgeMode::kSoft);
    EXPECT_EQ(validity_of_key(*other, "b"), Validity::kSoftPurged);
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    EXPECT_EQ(validity_of_key(*other, "a"), Validity::kValid);
    EXPECT_AUDIT(zone.store);
}

TEST(Invalidation, that_comes_during_a_fill_wins) {
    Zone zone;
    const Object o = tagged("a", {"x"});
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    ASSERT_EQ(zone.store.append(&w, o.body, kNow), Status::kOk);
    invalidate(zone.store, "x");
    EXPECT_EQ(zone.store.commit(&w, kNow), Status::kPurged);
    zone.store.abort(&w);
}

TEST(Invalidation, survives_recovery) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    invalidate(zone.store, "x");
    Store after;
    ASSERT_EQ(after.attach(zone.region.base(), zone.region.bytes(), 0, {}), Status::kOk);
    after.recover();
    zone.join(after, 9);
    EXPECT_EQ(validity_of_key(after, "a"), Validity::kPurged);
}

TEST(Invalidation, leaves_the_records_of_purges_alone) {
    Zone zone;
    const uint64_t birth = zone.store.birth_stamp();
    std::vector<uint64_t> purged;
    for (uint32_t i = 0; i < 100; i++) {
        purged.push_back(fingerprint("p" + std::to_string(i)));
        ASSERT_GT(zone.store.purge(&purged.back(), 1, PurgeMode::kSoft), 0u);
    }
    for (uint32_t i = 0; i < 100'000; i++) {
        invalidate(zone.store, "t" + std::to_string(i));
    }
    EXPECT_EQ(counted(zone.store, shm::Counter::kPurgeFloorRaised), 0u);
    EXPECT_GT(counted(zone.store, shm::Counter::kInvalidationFloorRaised), 90'000u);
    for (const uint64_t fp : purged) {  // and what they themselves have dropped still counts
        EXPECT_EQ(zone.store.validity_of(&fp, 1, birth), Validity::kPurged);
    }
    EXPECT_AUDIT(zone.store);
}

TEST(Invalidation, of_others_in_any_number_takes_no_object_away) {
    Zone zone(16 << 20);
    constexpr uint32_t kObjects = 1000;
    for (uint32_t i = 0; i < kObjects; i++) {
        const std::string n = std::to_string(i);
        ASSERT_EQ(put(zone.store, tagged("k" + n, {"u" + n, "host", "dir" + std::to_string(i % 7), "tag" + n})),
                  Status::kOk);
    }
    for (uint32_t i = 0; i < 200'000; i++) {
        invalidate(zone.store, "t" + std::to_string(i));
    }
    uint32_t valid = 0;
    for (uint32_t i = 0; i < kObjects; i++) {
        valid += validity_of_key(zone.store, "k" + std::to_string(i)) == Validity::kValid ? 1 : 0;
    }
    EXPECT_GE(valid, kObjects - 5) << "a set that filled up by chance may take one";
    invalidate(zone.store, "u7");
    EXPECT_EQ(validity_of_key(zone.store, "k7"), Validity::kPurged);
    EXPECT_AUDIT(zone.store);
}

}  // namespace
}  // namespace slab_cache::test
