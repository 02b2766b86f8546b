// Entries beside the objects proper take a tenth of the space at most, whatever comes and goes.
#include <gtest/gtest.h>

#include "support/expect_audit.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

Status put_side(Store& s, const std::string& key, size_t head, int64_t stale = kNow + 3600) {
    Object o;
    o.key = key;
    o.head = std::string(head, 'h');
    o.selectors = {fingerprint(key)};
    o.stale = stale;
    shm::NewEntry what = describe(o, s.birth_stamp());
    what.flags = shm::kSideFlag | 1;
    shm::Writer w;
    if (const Status begun = s.begin(what, kNow, &w); begun != Status::kOk) {
        return begun;
    }
    const Status done = s.commit(&w, kNow);
    s.abort(&w);
    return done;
}

uint32_t fill_up(Zone* zone, size_t head, const std::string& name = "side", int64_t stale = kNow + 3600) {
    uint32_t stored = 0;
    for (int i = 0; i < 3000; i++) {
        stored += put_side(zone->store, name + std::to_string(i), head, stale) == Status::kOk ? 1 : 0;
    }
    return stored;
}

TEST(SideEntries, take_a_tenth_of_the_space_and_no_more) {
    for (const size_t head : {100, 700, 5000, 9000}) {
        Zone zone(4 << 20);
        const uint32_t stored = fill_up(&zone, head);
        EXPECT_GT(stored, 0u);
        EXPECT_LT(stored, 3000u);
        const shm::Stats stats = zone.store.stats();
        EXPECT_LE(stats.used_bytes, stats.capacity_bytes / 10 + shm::kMaxHeadBytes);
        EXPECT_GE(stats.live_bytes, stats.capacity_bytes / 10 / 2) << head;
        EXPECT_AUDIT(zone.store);  // which knows the bound
    }
}

TEST(SideEntries, leave_the_objects_their_room_and_are_evicted_like_them) {
    shm::Config config;
    config.eviction = shm::Eviction::kBytes;  // under "hits" what is small stays for long
    config.objects = 16384;                   // space shall run out, not the index
    Zone zone(4 << 20, config);
    const uint32_t stored = fill_up(&zone, 300);
    for (int i = 0; i < 4000; i++) {
        ASSERT_EQ(put(zone.store, "k" + std::to_string(i), pattern(2000, 1)), Status::kOk);
    }
    uint32_t left = 0;
    for (int i = 0; i < 3000; i++) {
        left += get(zone.store, "side" + std::to_string(i)) != "<miss>" ? 1 : 0;
    }
    EXPECT_LT(left, stored);
    EXPECT_GT(fill_up(&zone, 300, "more"), 0u);  // there is room again
    EXPECT_AUDIT(zone.store);
}

TEST(SideEntries, that_are_removed_purged_or_expired_make_room_for_others) {
    Zone zone(4 << 20);
    const uint32_t stored = fill_up(&zone, 1000);
    ASSERT_EQ(put_side(zone.store, "another", 1000), Status::kNoSpace);
    for (int i = 0; i < 40; i++) {
        ASSERT_EQ(zone.store.remove(digest_of("side" + std::to_string(i)), "side" + std::to_string(i)), Status::kOk);
    }
    EXPECT_EQ(fill_up(&zone, 1000, "more"), 40u);
    static_cast<void>(zone.store.purge_all(shm::PurgeMode::kHard));
    ASSERT_TRUE(zone.store.sweep(kNow, 1, static_cast<uint32_t>(zone.store.stats().index_slots)));
    EXPECT_EQ(zone.store.stats().entries, 0u);
    EXPECT_EQ(fill_up(&zone, 1000, "again", kNow + 5), stored);
    ASSERT_TRUE(zone.store.sweep(kNow + 10, 2, static_cast<uint32_t>(zone.store.stats().index_slots)));
    EXPECT_EQ(fill_up(&zone, 1000, "at last"), stored);
    EXPECT_AUDIT(zone.store);
}

TEST(SideEntries, replace_each_other_where_there_is_room) {
    Zone zone(4 << 20);
    for (int i = 0; i < 5000; i++) {
        ASSERT_EQ(put_side(zone.store, "one", 100 + i % 3000), Status::kOk) << i;
    }
    EXPECT_EQ(zone.store.stats().entries, 1u);
    EXPECT_AUDIT(zone.store);
}

TEST(SideEntries, are_counted_again_by_a_repair_and_after_a_move) {
    Zone zone(4 << 20);
    const uint32_t stored = fill_up(&zone, 1000);
    Store after;
    ASSERT_EQ(after.attach(zone.region.base(), zone.region.bytes(), 0, {}), Status::kOk);
    after.recover();
    zone.join(after, 9);
    EXPECT_EQ(after.stats().entries, stored);
    EXPECT_EQ(put_side(after, "another", 1000), Status::kNoSpace);
    EXPECT_AUDIT(after);
    Zone smaller(2 << 20);
    shm::CarryRules rules;
    rules.now_sec = kNow;
    const shm::Carried carried = smaller.store.carry(&after, rules);
    EXPECT_GT(carried.entries, 0u);
    EXPECT_LT(carried.entries, stored);
    EXPECT_AUDIT(smaller.store);
}

}  // namespace
}  // namespace slab_cache::test
