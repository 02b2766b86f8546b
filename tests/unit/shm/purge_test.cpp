// Purges: what was purged is gone, what was not stays, and no fill in flight gets past one.
#include <gtest/gtest.h>

#include "shm/layout.h"
#include "support/expect_audit.h"
#include "support/tagged.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using shm::Pin;
using shm::PurgeMode;
using shm::Validity;
using shm::Writer;

void purge(Store& store, const std::string& tag, PurgeMode mode = PurgeMode::kHard) {
    const uint64_t fp = fingerprint(tag);
    EXPECT_GT(store.purge(&fp, 1, mode), 0u);
}

TEST(Purge, takes_exactly_the_objects_with_the_fingerprint) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {"x", "y"})), Status::kOk);
    ASSERT_EQ(put(zone.store, tagged("b", {"y", "z"})), Status::kOk);
    purge(zone.store, "x");
    EXPECT_EQ(validity_of_key(zone.store, "a"), Validity::kPurged);
    EXPECT_EQ(validity_of_key(zone.store, "b"), Validity::kValid);
    purge(zone.store, "z");
    EXPECT_EQ(validity_of_key(zone.store, "b"), Validity::kPurged);
    EXPECT_AUDIT(zone.store);
}

TEST(Purge, of_everything_takes_everything_and_nothing_stored_later) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {})), Status::kOk);
    const uint64_t seq = zone.store.purge_all(PurgeMode::kHard);
    EXPECT_EQ(seq, zone.store.purge_seq());
    ASSERT_EQ(put(zone.store, tagged("b", {})), Status::kOk);
    EXPECT_EQ(validity_of_key(zone.store, "a"), Validity::kPurged);
    EXPECT_EQ(validity_of_key(zone.store, "b"), Validity::kValid);
}

TEST(Purge, is_seen_by_every_other_process_when_it_returns) {
    Zone zone;
    auto other = zone.attach(2);
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    EXPECT_EQ(validity_of_key(*other, "a"), Validity::kValid);
    purge(zone.store, "x");
    EXPECT_EQ(validity_of_key(*other, "a"), Validity::kPurged);
}

TEST(Purge, soft_makes_stale_and_hard_before_it_stays_hard) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    purge(zone.store, "x", PurgeMode::kSoft);
    EXPECT_EQ(validity_of_key(zone.store, "a"), Validity::kSoftPurged);
    purge(zone.store, "x", PurgeMode::kHard);
    purge(zone.store, "x", PurgeMode::kSoft);
    EXPECT_EQ(validity_of_key(zone.store, "a"), Validity::kPurged);
}

TEST(Purge, of_everything_in_doubt_has_what_was_stored_before_asked_about) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    ASSERT_EQ(put(zone.store, tagged("b", {"y"})), Status::kOk);
    const uint64_t seq = zone.store.purge_all(PurgeMode::kDoubt);
    EXPECT_EQ(validity_of_key(zone.store, "a"), Validity::kDoubted);
    purge(zone.store, "x", PurgeMode::kSoft);  // no word against the doubt
    EXPECT_EQ(validity_of_key(zone.store, "a"), Validity::kDoubted);
    purge(zone.store, "y");
    EXPECT_EQ(validity_of_key(zone.store, "b"), Validity::kPurged);
    Pin pin;
    ASSERT_EQ(zone.store.find(digest_of("a"), "a", &pin), Status::kOk);
    ASSERT_EQ(zone.store.refresh(pin, kNow + 60, kNow + 60, zone.store.purge_seq()), Status::kOk);
    zone.store.unpin(&pin);
    EXPECT_EQ(validity_of_key(zone.store, "a"), Validity::kValid);
    EXPECT_GT(zone.store.purge_seq(), seq);
    ASSERT_EQ(put(zone.store, tagged("c", {})), Status::kOk);
    EXPECT_EQ(validity_of_key(zone.store, "c"), Validity::kValid);
    EXPECT_AUDIT(zone.store);
}

TEST(Purge, in_doubt_that_comes_during_a_fill_is_in_doubt_of_it) {
    Zone zone;
    const Object o = tagged("a", {"x"});
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    ASSERT_EQ(zone.store.append(&w, o.body, kNow), Status::kOk);
    (void) zone.store.purge_all_now(PurgeMode::kDoubt);
    EXPECT_EQ(zone.store.commit(&w, kNow), Status::kOk);
    EXPECT_EQ(validity_of_key(zone.store, "a"), Validity::kDoubted);
}

TEST(Purge, of_everything_takes_what_else_belongs_to_it_into_the_same_section) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    uint64_t seen = 0;
    const uint64_t seq = zone.store.purge_all(
        PurgeMode::kSoft,
        [](shm::PurgeSection* section, void* data) {
            *static_cast<uint64_t*>(data) = section->seq();
            section->add(fingerprint("x"), PurgeMode::kHard);
        },
        &seen);
    EXPECT_EQ(seen, seq);
    EXPECT_EQ(validity_of_key(zone.store, "a"), Validity::kPurged);
}

TEST(Purge, that_comes_during_a_fill_wins) {
    Zone zone;
    const Object o = tagged("a", {"x"});
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    ASSERT_EQ(zone.store.append(&w, o.body, kNow), Status::kOk);
    purge(zone.store, "x");
    EXPECT_EQ(zone.store.commit(&w, kNow), Status::kPurged);
    EXPECT_EQ(get(zone.store, "a"), "<miss>");
    zone.store.sweep(kNow, 1, 1);
    EXPECT_EQ(zone.store.stats().used_bytes, 0u);
    EXPECT_AUDIT(zone.store);
}

TEST(Purge, that_came_before_the_head_was_known_wins) {
    Zone zone;
    const uint64_t birth = zone.store.birth_stamp();
    purge(zone.store, "x");
    Writer w;
    EXPECT_EQ(zone.store.begin(describe(tagged("a", {"x"}), birth), kNow, &w), Status::kPurged);
    EXPECT_FALSE(w);
}

TEST(Purge, soft_during_a_fill_stores_it_as_already_stale) {
    Zone zone;
    const Object o = tagged("a", {"x"});
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    ASSERT_EQ(zone.store.append(&w, o.body, kNow), Status::kOk);
    purge(zone.store, "x", PurgeMode::kSoft);
    EXPECT_EQ(zone.store.commit(&w, kNow), Status::kOk);
    EXPECT_EQ(validity_of_key(zone.store, "a"), Validity::kSoftPurged);
}

TEST(Purge, a_refresh_revives_what_was_soft_purged_but_never_what_was_hard_purged) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    Pin pin;
    ASSERT_EQ(zone.store.find(digest_of("a"), "a", &pin), Status::kOk);
    purge(zone.store, "x", PurgeMode::kSoft);
    EXPECT_EQ(zone.store.refresh(pin, kNow + 500, kNow + 900, zone.store.birth_stamp()), Status::kOk);
    EXPECT_EQ(zone.store.validity(pin), Validity::kValid);
    EXPECT_EQ(Store::fresh_until(pin), kNow + 500);
    purge(zone.store, "x");
    EXPECT_EQ(zone.store.refresh(pin, kNow + 700, kNow + 900, zone.store.birth_stamp()), Status::kPurged);
    EXPECT_EQ(zone.store.validity(pin), Validity::kPurged);
    zone.store.unpin(&pin);
}

// Found untouched by purges by pattern, an object counts as born later; what was fetched since is newer all the same.
TEST(Purge, an_object_whose_birth_was_raised_gives_way_to_a_fill_begun_before_that) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    Object o = tagged("a", {"x"});
    o.body = "what the origin says now";
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    ASSERT_EQ(zone.store.append(&w, o.body, kNow), Status::kOk);
    purge(zone.store, "unrelated");
    Pin pin;
    ASSERT_EQ(zone.store.find(digest_of("a"), "a", &pin), Status::kOk);
    ASSERT_EQ(zone.store.refresh(pin, kNow + 5, kNow + 900, zone.store.birth_stamp()), Status::kOk);
    zone.store.unpin(&pin);
    ASSERT_EQ(zone.store.commit(&w, kNow), Status::kOk);
    EXPECT_EQ(get(zone.store, "a"), o.body);
}

TEST(Purge, records_that_are_dropped_never_let_a_purged_object_live) {
    shm::Config config;
    config.purge_records = 7;  // one set: every eighth fingerprint drops one
    Zone zone(4 << 20, config);
    for (uint32_t i = 0; i < 40; i++) {
        ASSERT_EQ(put(zone.store, tagged("k" + std::to_string(i), {"t" + std::to_string(i)})), Status::kOk);
    }
    for (uint32_t i = 0; i < 20; i++) {
        purge(zone.store, "t" + std::to_string(i), i % 2 == 0 ? PurgeMode::kHard : PurgeMode::kSoft);
    }
    for (uint32_t i = 0; i < 20; i++) {
        EXPECT_NE(validity_of_key(zone.store, "k" + std::to_string(i)), Validity::kValid) << i;
    }
    ASSERT_EQ(put(zone.store, tagged("fresh", {"t1"})), Status::kOk);
    EXPECT_EQ(validity_of_key(zone.store, "fresh"), Validity::kValid);
    EXPECT_AUDIT(zone.store);
}

TEST(Purge, what_is_in_use_outlives_the_records_of_others_that_are_dropped) {
    shm::Config config;
    config.purge_records = 7;
    Zone zone(4 << 20, config);
    ASSERT_EQ(put(zone.store, tagged("used", {"x"})), Status::kOk);
    ASSERT_EQ(put(zone.store, tagged("swept", {"y"})), Status::kOk);
    for (uint32_t i = 0; i < 40; i++) {
        purge(zone.store, "t" + std::to_string(i));
        ASSERT_EQ(validity_of_key(zone.store, "used"), Validity::kValid) << i;
        zone.store.sweep(kNow, 1, 1 << 20);
    }
    EXPECT_EQ(validity_of_key(zone.store, "swept"), Validity::kValid);
    purge(zone.store, "x", PurgeMode::kSoft);
    for (uint32_t i = 0; i < 40; i++) {  // what was found purged is not forgotten by looking at it
        purge(zone.store, "t" + std::to_string(i));
        ASSERT_NE(validity_of_key(zone.store, "used"), Validity::kValid) << i;
    }
    purge(zone.store, "y");
    EXPECT_EQ(validity_of_key(zone.store, "swept"), Validity::kPurged);
    EXPECT_AUDIT(zone.store);
}

TEST(Purge, a_validity_known_of_a_counter_to_come_is_nonsense_and_counts_for_nothing) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    Pin pin;
    ASSERT_EQ(zone.store.find(digest_of("a"), "a", &pin), Status::kOk);
    const_cast<shm::Entry*>(pin.entry)->checked.store_relaxed(~uint64_t{0});
    purge(zone.store, "x");
    EXPECT_EQ(zone.store.validity(pin), Validity::kPurged);
    zone.store.unpin(&pin);
}

TEST(Purge, a_thousand_fingerprints_are_one_step_of_the_counter) {
    Zone zone;
    std::vector<uint64_t> fps;
    for (uint32_t i = 0; i < 1000; i++) {
        fps.push_back(fingerprint("t" + std::to_string(i)));
    }
    const uint64_t before = zone.store.purge_seq();
    EXPECT_EQ(zone.store.purge(fps.data(), 1000, PurgeMode::kHard), before + 1);
    EXPECT_EQ(zone.store.validity_of(&fps[999], 1, before), Validity::kPurged);
    EXPECT_EQ(zone.store.validity_of(&fps[999], 1, before + 1), Validity::kValid);
}

TEST(Purge, survives_recovery) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    purge(zone.store, "x");
    Store after;
    ASSERT_EQ(after.attach(zone.region.base(), zone.region.bytes(), 0, {}), Status::kOk);
    after.recover();
    zone.join(after, 9);
    EXPECT_EQ(validity_of_key(after, "a"), Validity::kPurged);
}

TEST(Purge, the_sweeper_takes_purged_objects_out) {
    Zone zone;
    ASSERT_EQ(put(zone.store, tagged("a", {"x"})), Status::kOk);
    purge(zone.store, "x");
    zone.store.sweep(kNow, 1, 1 << 20);
    EXPECT_EQ(get(zone.store, "a"), "<miss>");
    EXPECT_EQ(zone.store.stats().used_bytes, 0u);
}

TEST(SweepQuota, brings_the_sweeper_round_before_an_eighth_of_the_records_is_new) {
    shm::Config config;
    config.purge_records = 7000;
    Zone zone(16 << 20, config);
    const uint32_t all = zone.store.sweep_quota(7000 / 8);
    EXPECT_GT(all, 100u);
    EXPECT_EQ(zone.store.sweep_quota(0), 0u);
    EXPECT_NEAR(zone.store.sweep_quota(7000 / 16), all / 2, 1);
    EXPECT_EQ(zone.store.sweep_quota(7000 / 4), all * 2);
    EXPECT_EQ(zone.store.sweep_quota(~uint64_t{0}), all * 2);
}

}  // namespace
}  // namespace slab_cache::test
