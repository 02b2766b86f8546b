// A zone that takes another's place: what is purged in either counts in both, and the most useful objects come along.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "shm/layout.h"
#include "support/expect_audit.h"
#include "support/policies.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using shm::Pin;
using shm::PurgeMode;
using shm::Validity;

Object tagged(const std::string& key, const std::vector<std::string>& tags, size_t bytes = 100) {
    Object o;
    o.key = key;
    o.body = pattern(bytes, static_cast<uint32_t>(key.size() + bytes));
    for (const std::string& t : tags) {
        o.selectors.push_back(fingerprint(t));
    }
    return o;
}

uint64_t purge(Store& store, const std::string& tag, PurgeMode mode = PurgeMode::kHard) {
    const uint64_t fp = fingerprint(tag);
    return store.purge(&fp, 1, mode);
}

void invalidate(Store& store, const std::string& tag) {
    const uint64_t fp = fingerprint(tag);
    EXPECT_GT(store.invalidate(&fp, 1, PurgeMode::kHard, kNow), 0u);
}

Validity validity_of_key(Store& store, const std::string& key) {
    Pin pin;
    if (store.find(digest_of(key), key, &pin) != Status::kOk) {
        ADD_FAILURE() << key << " is not there";
        return Validity::kPurged;
    }
    const Validity v = store.validity(pin);
    store.unpin(&pin);
    return v;
}

// A second zone that succeeds the first, whose processes go on.
class Successor {
public:
    explicit Successor(Zone& old, size_t bytes = 8 << 20, shm::Config config = {}) : zone(bytes, config) {
        zone.store.leave();
        zone.lives.dead[1] = false;
        for (uint32_t i = 0; i + 1 < Store::kPriors; i++) {
            void* base = nullptr;
            uint64_t n = 0;
            if (old.store.prior_at(i, &base, &n)) {
                EXPECT_EQ(zone.store.add_prior(old.store, i, base), Status::kOk);
            }
        }
        EXPECT_EQ(zone.store.succeed(old.store, old.region.base()), Status::kOk);
        zone.join(zone.store, 21);
    }

    shm::Carried carry(Zone& old, const shm::CarryRules& rules = {nullptr, nullptr, kNow}) {
        auto from = old.attach(22);
        const shm::Carried out = zone.store.carry(from.get(), rules);
        from->leave();
        return out;
    }

    Zone zone;
};

// Killed, all of them, before any process of the new zone took over what one of the old zone had purged.
TEST(Succession, a_purge_that_the_old_zone_took_to_its_grave_holds_after_a_recovery) {
    Zone old;
    Successor next(old);
    ASSERT_EQ(put(next.zone.store, tagged("a", {"x"})), Status::kOk);
    purge(old.store, "x");
    auto after = next.zone.attach(23);
    after->leave();
    after->recover();
    auto reader = next.zone.attach(24);
    EXPECT_EQ(validity_of_key(*reader, "a"), Validity::kPurged);
}

// The next configuration maps only what is open.
TEST(Succession, what_was_purged_in_a_zone_is_taken_over_when_it_is_closed) {
    Zone old;
    Successor next(old);
    ASSERT_EQ(put(next.zone.store, tagged("a", {"x"})), Status::kOk);
    purge(old.store, "x");
    old.store.leave();
    uint64_t from = 0;
    ASSERT_TRUE(next.zone.store.is_prior_deserted(0));
    ASSERT_TRUE(next.zone.store.close_prior(0, &from));
    auto without = next.zone.attach(23);
    EXPECT_EQ(validity_of_key(*without, "a"), Validity::kPurged);
}

TEST(Succession, objects_come_along_with_all_they_are) {
    Zone old;
    Object o = tagged("a", {"x", "y"}, 150'000);
    ASSERT_EQ(put(old.store, o), Status::kOk);
    ASSERT_EQ(put(old.store, "small", "body"), Status::kOk);
    Successor next(old);
    const shm::Carried carried = next.carry(old);
    EXPECT_EQ(carried.entries, 2u);
    EXPECT_FALSE(carried.cut_short);
    Pin pin;
    ASSERT_EQ(next.zone.store.find(digest_of("a"), "a", &pin), Status::kOk);
    EXPECT_EQ(read_body(next.zone.store, pin), o.body);
    EXPECT_EQ(Store::head(pin), o.head);
    EXPECT_EQ(Store::flags(pin), 7u);
    EXPECT_EQ(Store::fresh_until(pin), o.fresh);
    EXPECT_EQ(Store::stale_until(pin), o.stale);
    EXPECT_EQ(Store::fill_cost_us(pin), 1500u);
    EXPECT_EQ(next.zone.store.validity(pin), Validity::kValid);
    next.zone.store.unpin(&pin);
    EXPECT_EQ(get(next.zone.store, "small"), "body");
    EXPECT_AUDIT(next.zone.store);
    EXPECT_AUDIT(old.store);
    EXPECT_EQ(old.store.stats().pins, 0u);
}

TEST(Succession, a_smaller_zone_gets_what_was_used_most) {
    Zone old(8 << 20);
    for (int i = 0; i < 400; i++) {
        ASSERT_EQ(put(old.store, "k" + std::to_string(i), pattern(10'000, 1)), Status::kOk);
    }
    for (int i = 0; i < 400; i += 4) {
        Pin pin;
        const std::string key = "k" + std::to_string(i);
        ASSERT_EQ(old.store.find(digest_of(key), key, &pin), Status::kOk);
        old.store.touch(pin);
        old.store.unpin(&pin);
    }
    Successor next(old, 3 << 20);
    const shm::Carried carried = next.carry(old);
    EXPECT_GT(carried.entries, 110u);
    EXPECT_LT(carried.entries, 300u);
    for (int i = 0; i < 400; i += 4) {
        EXPECT_NE(get(next.zone.store, "k" + std::to_string(i)), "<miss>") << i;
    }
    EXPECT_AUDIT(next.zone.store);
    // They stay the most useful: new ones push the others out first.
    for (int i = 0; i < 60; i++) {
        ASSERT_EQ(put(next.zone.store, "n" + std::to_string(i), pattern(10'000, 2)), Status::kOk);
    }
    int left = 0;
    for (int i = 0; i < 400; i += 4) {
        left += get(next.zone.store, "k" + std::to_string(i)) != "<miss>" ? 1 : 0;
    }
    EXPECT_GT(left, 95);
}

TEST(Succession, every_eviction_policy_takes_the_order_over) {
    for (const auto from : eviction_policies()) {
        for (const auto to : eviction_policies()) {
            shm::Config config;
            config.eviction = from;
            Zone old(4 << 20, config);
            for (int i = 0; i < 100; i++) {
                ASSERT_EQ(put(old.store, "k" + std::to_string(i), pattern(100 + 300 * static_cast<size_t>(i), 1)),
                          Status::kOk);
            }
            config.eviction = to;
            Successor next(old, 6 << 20, config);
            EXPECT_EQ(next.carry(old).entries, 100u);
            EXPECT_AUDIT(next.zone.store);
        }
    }
}

TEST(Succession, ends_when_it_is_told_to) {
    Zone old;
    for (int i = 0; i < 20; i++) {
        ASSERT_EQ(put(old.store, "k" + std::to_string(i), "body"), Status::kOk);
    }
    Successor next(old);
    int asked = 0;
    const auto five = [](void* n) { return ++*static_cast<int*>(n) <= 5; };
    const shm::Carried carried = next.carry(old, {five, &asked, kNow});
    EXPECT_EQ(carried.entries, 5u);
    EXPECT_TRUE(carried.cut_short);
    EXPECT_AUDIT(next.zone.store);
}

TEST(Succession, purged_objects_stay_behind_and_soft_purged_ones_stay_soft) {
    Zone old;
    ASSERT_EQ(put(old.store, tagged("a", {"x"})), Status::kOk);
    ASSERT_EQ(put(old.store, tagged("b", {"y"})), Status::kOk);
    ASSERT_EQ(put(old.store, tagged("c", {"z"})), Status::kOk);
    purge(old.store, "x");
    purge(old.store, "y", PurgeMode::kSoft);
    Successor next(old);
    EXPECT_EQ(next.carry(old).entries, 2u);
    EXPECT_EQ(get(next.zone.store, "a"), "<miss>");
    EXPECT_EQ(validity_of_key(next.zone.store, "b"), Validity::kSoftPurged);
    EXPECT_EQ(validity_of_key(next.zone.store, "c"), Validity::kValid);
}

TEST(Succession, a_purge_by_an_old_process_holds_in_the_new_zone) {
    for (const PurgeMode mode : {PurgeMode::kHard, PurgeMode::kSoft}) {
        Zone old;
        ASSERT_EQ(put(old.store, tagged("a", {"x"})), Status::kOk);
        ASSERT_EQ(put(old.store, tagged("b", {"y"})), Status::kOk);
        Successor next(old);
        next.carry(old);
        ASSERT_EQ(put(next.zone.store, tagged("new", {"x"})), Status::kOk);
        EXPECT_EQ(validity_of_key(next.zone.store, "new"), Validity::kValid);
        purge(old.store, "x", mode);
        const Validity gone = mode == PurgeMode::kHard ? Validity::kPurged : Validity::kSoftPurged;
        EXPECT_EQ(validity_of_key(next.zone.store, "a"), gone);
        EXPECT_EQ(validity_of_key(next.zone.store, "new"), gone);
        EXPECT_EQ(validity_of_key(next.zone.store, "b"), Validity::kValid);
        EXPECT_AUDIT(next.zone.store);
    }
}

TEST(Succession, an_invalidation_by_either_holds_in_both_zones) {
    Zone old;
    ASSERT_EQ(put(old.store, tagged("a", {"x"})), Status::kOk);
    ASSERT_EQ(put(old.store, tagged("b", {"y"})), Status::kOk);
    ASSERT_EQ(put(old.store, tagged("c", {"z"})), Status::kOk);
    const uint64_t birth = old.store.birth_stamp();
    invalidate(old.store, "z");
    Successor next(old);
    next.carry(old);
    invalidate(old.store, "x");
    EXPECT_EQ(validity_of_key(next.zone.store, "a"), Validity::kPurged);
    EXPECT_EQ(validity_of_key(next.zone.store, "b"), Validity::kValid);
    invalidate(next.zone.store, "y");
    EXPECT_EQ(validity_of_key(next.zone.store, "b"), Validity::kPurged);
    EXPECT_EQ(validity_of_key(old.store, "b"), Validity::kPurged);
    const uint64_t z = fingerprint("z");
    EXPECT_EQ(next.zone.store.validity_of(&z, 1, birth), Validity::kPurged);
    EXPECT_AUDIT(next.zone.store);
}

TEST(Succession, a_purge_of_all_by_an_old_process_holds_in_the_new_zone) {
    Zone old;
    Successor next(old);
    ASSERT_EQ(put(next.zone.store, tagged("a", {"x"})), Status::kOk);
    (void) old.store.purge_all(PurgeMode::kSoft);
    EXPECT_EQ(validity_of_key(next.zone.store, "a"), Validity::kSoftPurged);
    (void) old.store.purge_all(PurgeMode::kDoubt);
    EXPECT_EQ(validity_of_key(next.zone.store, "a"), Validity::kDoubted);
    (void) old.store.purge_all(PurgeMode::kHard);
    EXPECT_EQ(validity_of_key(next.zone.store, "a"), Validity::kPurged);
    ASSERT_EQ(put(next.zone.store, tagged("b", {"x"})), Status::kOk);
    EXPECT_EQ(validity_of_key(next.zone.store, "b"), Validity::kValid);
}

TEST(Succession, a_fill_under_way_in_the_new_zone_loses_against_a_purge_in_the_old) {
    Zone old;
    Successor next(old);
    const uint64_t birth = next.zone.store.birth_stamp();
    purge(old.store, "x");
    Object o = tagged("a", {"x"});
    o.birth = birth;
    if (put(next.zone.store, o) == Status::kOk) {
        EXPECT_EQ(validity_of_key(next.zone.store, "a"), Validity::kPurged);
    }
    const uint64_t fp = fingerprint("x");
    EXPECT_EQ(next.zone.store.validity_of(&fp, 1, birth), Validity::kPurged);
}

TEST(Succession, a_purge_by_a_new_process_holds_in_the_old_zone_until_nobody_is_left) {
    Zone old;
    ASSERT_EQ(put(old.store, tagged("a", {"x"})), Status::kOk);
    ASSERT_EQ(put(old.store, tagged("b", {"y"})), Status::kOk);
    ASSERT_EQ(put(old.store, tagged("c", {"z"})), Status::kOk);
    Successor next(old);
    purge(next.zone.store, "x");
    EXPECT_EQ(get(old.store, "a"), "<purged>");
    EXPECT_NE(get(old.store, "b"), "<purged>");
    (void) next.zone.store.purge_all(PurgeMode::kHard);
    EXPECT_EQ(get(old.store, "b"), "<purged>");
}

TEST(Succession, its_own_purges_do_not_come_back_from_the_old_zone) {
    Zone old;
    Successor next(old);
    purge(next.zone.store, "x");
    const uint64_t seq = next.zone.store.purge_seq();
    ASSERT_EQ(put(next.zone.store, tagged("a", {"x"})), Status::kOk);
    EXPECT_EQ(validity_of_key(next.zone.store, "a"), Validity::kValid);
    EXPECT_EQ(next.zone.store.purge_seq(), seq);
}

TEST(Succession, a_fence_given_before_holds_after) {
    Zone old;
    for (int i = 0; i < 30; i++) {
        purge(old.store, "x");
    }
    const uint64_t seq = old.store.purge_seq();
    Successor next(old);
    EXPECT_TRUE(next.zone.store.is_own_seq(seq, next.zone.store.purge_seq()));
    EXPECT_TRUE(next.zone.store.is_own_seq(seq - 30, next.zone.store.purge_seq()));
    EXPECT_FALSE(next.zone.store.is_own_seq(seq - 31, next.zone.store.purge_seq()));
    const uint64_t fp = fingerprint("x");
    EXPECT_EQ(next.zone.store.validity_of(&fp, 1, seq), Validity::kValid);
    EXPECT_EQ(next.zone.store.validity_of(&fp, 1, seq - 1), Validity::kPurged);
}

TEST(Succession, what_either_zone_counts_from_then_on_means_nothing_to_the_other) {
    Zone old;
    Successor next(old);
    const uint64_t late = purge(old.store, "x");
    const uint64_t ours = purge(next.zone.store, "y");
    EXPECT_FALSE(next.zone.store.is_own_seq(late, next.zone.store.purge_seq()));
    EXPECT_FALSE(old.store.is_own_seq(ours, old.store.purge_seq()));
    EXPECT_TRUE(next.zone.store.is_own_seq(ours, next.zone.store.purge_seq()));
    EXPECT_FALSE(next.zone.store.is_own_seq(ours + 1, next.zone.store.purge_seq()));
}

TEST(Succession, what_is_born_in_the_old_zone_after_it_is_older_than_the_next_purge) {
    Zone old;
    Successor next(old);
    for (int i = 0; i < 5; i++) {
        purge(old.store, "other");
    }
    ASSERT_EQ(put(old.store, tagged("late", {"x"})), Status::kOk);  // its birth is above the new zone's counter
    next.carry(old);
    purge(next.zone.store, "x");
    EXPECT_NE(get(next.zone.store, "late").substr(0, 1), pattern(100, 104).substr(0, 1));
    EXPECT_AUDIT(next.zone.store);
}

// What must be found, where too much may be.
struct Truth {
    std::map<std::string, uint64_t> hard, soft;

    void purge_some(Store& store, const std::string& tag, uint32_t how) {
        if (how % 3 == 0) {
            invalidate(store, tag);
        } else {
            purge(store, tag, how % 4 == 0 ? PurgeMode::kSoft : PurgeMode::kHard);
        }
        (how % 3 != 0 && how % 4 == 0 ? soft : hard)[tag] = store.purge_seq();
    }
    Validity of(const std::string& tag, uint64_t birth) {
        return hard[tag] > birth ? Validity::kPurged : soft[tag] > birth ? Validity::kSoftPurged : Validity::kValid;
    }
};

TEST(Succession, no_purge_gets_lost_whatever_the_sizes_of_the_tables) {
    for (uint32_t seed = 1; seed <= 40; seed++) {
        std::mt19937 random(seed);
        const auto some_tag = [&random] { return "t" + std::to_string(random() % 150); };
        shm::Config small;
        small.purge_records = 7 + random() % 200;
        shm::Config large;
        large.purge_records = 7 + random() % 200;
        Zone old(4 << 20, small);
        Truth truth;
        std::vector<std::pair<std::string, uint64_t>> born;
        for (int i = 0; i < 300; i++) {
            const std::string tag = some_tag();
            born.emplace_back(tag, old.store.birth_stamp());
            if (random() % 2 == 0) {
                truth.purge_some(old.store, tag, random());
            }
        }
        Successor next(old, 6 << 20, large);
        for (int round = 0; round < 2; round++) {
            for (const auto& [tag, birth] : born) {
                const uint64_t fp = fingerprint(tag);
                EXPECT_GE(old.store.validity_of(&fp, 1, birth), truth.of(tag, birth)) << "seed " << seed << ", " << tag;
                EXPECT_GE(next.zone.store.validity_of(&fp, 1, birth), truth.of(tag, birth))
                    << "seed " << seed << ", " << tag;
            }
            for (int i = 0; i < 100; i++) {  // and those that come later, more than some sets can hold
                truth.purge_some(old.store, some_tag(), random());
            }
        }
        EXPECT_AUDIT(next.zone.store);
    }
}

TEST(Succession, of_a_successor_hears_of_purges_in_all_three) {
    Zone first;
    ASSERT_EQ(put(first.store, tagged("a", {"x"})), Status::kOk);
    ASSERT_EQ(put(first.store, tagged("b", {"y"})), Status::kOk);
    ASSERT_EQ(put(first.store, tagged("c", {"z"})), Status::kOk);
    Successor second(first);
    second.carry(first);
    Successor third(second.zone);
    third.carry(second.zone);
    purge(first.store, "x");
    EXPECT_EQ(validity_of_key(third.zone.store, "a"), Validity::kPurged);
    EXPECT_EQ(validity_of_key(second.zone.store, "a"), Validity::kPurged);
    purge(second.zone.store, "y");
    EXPECT_EQ(validity_of_key(third.zone.store, "b"), Validity::kPurged);
    EXPECT_EQ(get(first.store, "b"), "<purged>");
    purge(third.zone.store, "z");
    EXPECT_EQ(get(first.store, "c"), "<purged>");
    EXPECT_EQ(get(second.zone.store, "c"), "<purged>");
    EXPECT_AUDIT(third.zone.store);
}

TEST(Succession, a_zone_is_closed_when_its_last_process_is_gone_and_then_nobody_joins_it) {
    Zone old;
    auto worker = old.attach(3);
    Successor next(old);
    uint64_t from = 0;
    EXPECT_FALSE(next.zone.store.is_prior_deserted(0));
    EXPECT_TRUE(next.zone.store.has_open_prior());
    old.store.leave();
    next.zone.lives.dead[3] = false;
    EXPECT_FALSE(next.zone.store.is_prior_deserted(0));
    next.zone.lives.dead[3] = true;
    EXPECT_TRUE(next.zone.store.is_prior_deserted(0));
    EXPECT_TRUE(next.zone.store.is_following());
    EXPECT_TRUE(next.zone.store.close_prior(0, &from));
    EXPECT_FALSE(next.zone.store.is_following());
    EXPECT_FALSE(next.zone.store.has_open_prior());
    EXPECT_GT(from, 4096u);
    auto late = old.attach(4);
    EXPECT_FALSE(late->joined());
}

TEST(Succession, what_a_process_without_a_record_purges_in_a_closed_zone_still_counts) {
    Zone old;
    ASSERT_EQ(put(old.store, tagged("a", {"x"})), Status::kOk);
    Successor next(old);
    next.carry(old);
    old.store.leave();
    uint64_t from = 0;
    ASSERT_TRUE(next.zone.store.close_prior(0, &from));
    std::memset(static_cast<char*>(old.region.base()) + from, 0, old.region.bytes() - from);  // its pages are gone
    purge(old.store, "x");
    EXPECT_EQ(validity_of_key(next.zone.store, "a"), Validity::kPurged);
}

TEST(Succession, a_purge_that_died_half_way_takes_no_older_purge_with_it) {
    Zone old;
    const uint64_t birth = old.store.birth_stamp();
    purge(old.store, "x");
    auto* z = reinterpret_cast<shm::ZoneHeader*>(old.region.base());
    for (uint32_t i = 0; i < z->purge_sets; i++) {  // the same again, but for its counter: the purger is dead
        auto* set = reinterpret_cast<shm::PurgeSet*>(static_cast<char*>(old.region.base()) + z->purges_offset) + i;
        for (shm::PurgeRecord& r : set->record) {
            if (r.fingerprint.load_relaxed() != 0) {
                r.seq.store_relaxed(old.store.purge_seq() + 1);
            }
        }
    }
    Successor next(old);
    const uint64_t fp = fingerprint("x");
    EXPECT_EQ(next.zone.store.validity_of(&fp, 1, birth), Validity::kPurged);
    EXPECT_AUDIT(next.zone.store);
}

}  // namespace
}  // namespace slab_cache::test
