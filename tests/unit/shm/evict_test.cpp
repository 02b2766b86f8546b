#include "shm/evict.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/policies.h"
#include "support/replay.h"

namespace slab_cache {
namespace {

using shm::Eviction;
using shm::EvictQueues;
using test::EntryField;

constexpr uint32_t kField = 4000;

struct Field : EntryField {
    explicit Field(Eviction policy = Eviction::kHits) : EntryField(kField, 1000, policy) {}
    std::string audit() {
        const char* wrong = queues().audit_locked();
        return wrong == nullptr ? "" : wrong;
    }
};

const std::vector<Eviction> kPolicies = test::eviction_policies();

TEST(Evict, an_empty_shard_has_no_victim) {
    for (Eviction p : kPolicies) {
        Field f(p);
        EXPECT_EQ(f.pick(), -1);
        EXPECT_EQ(f.audit(), "");
    }
}

TEST(Evict, among_equals_the_oldest_goes_first) {
    for (Eviction p : kPolicies) {
        Field f(p);
        for (uint32_t i = 0; i < 10; i++) {
            f.push(i, 1000);
        }
        for (uint32_t i = 0; i < 10; i++) {
            EXPECT_EQ(f.pick(), i);
        }
        EXPECT_EQ(f.pick(), -1);
    }
}

TEST(Evict, of_unused_entries_the_large_goes_before_the_small) {
    for (Eviction p : {Eviction::kHits, Eviction::kBalanced}) {
        Field f(p);
        f.push(0, 1000);
        f.push(1, 100000);
        EXPECT_EQ(f.pick(), 1);
    }
}

TEST(Evict, policy_bytes_is_blind_to_size) {
    Field f(Eviction::kBytes);
    f.push(0, 1000);
    f.push(1, 100000);
    EXPECT_EQ(f.pick(), 0);
}

TEST(Evict, a_used_entry_outlives_an_unused_one_of_its_size) {
    for (Eviction p : kPolicies) {
        Field f(p);
        f.push(0, 1000);
        f.push(1, 1000);
        f.use(0);
        EXPECT_EQ(f.pick(), 1);
    }
}

TEST(Evict, balanced_values_large_entries_more_than_hits_does) {
    // 16 times as large, used three times: worth 4/16 under a = 1, but 4/4 against 1/2 under a = 1/2.
    const auto victim = [](Eviction p) {
        Field f(p);
        f.push(0, 1024);
        f.push(1, 16 * 1024);
        for (int i = 0; i < 3; i++) {
            f.use(1);
        }
        return f.pick();
    };
    EXPECT_EQ(victim(Eviction::kHits), 1);
    EXPECT_EQ(victim(Eviction::kBalanced), 0);
}

TEST(Evict, small_entries_nobody_uses_age_until_a_large_newcomer_outlives_them) {
    Field f;
    f.push(0, 1000);
    for (uint32_t i = 1; i < 60; i++) {  // each victim lifts the floor by 1/50,000
        f.push(i, 50000);
        if (f.pick() == 0) {
            SUCCEED();
            return;
        }
    }
    FAIL() << "the small entry stays for ever";
}

TEST(Evict, a_ghost_outlives_a_newcomer_of_its_size) {
    Field f;
    f.push(0, 1000);
    ASSERT_EQ(f.pick(), 0);
    f.push(0, 1000);
    f.push(1, 1000);
    f.push(2, 1400);
    EXPECT_EQ(f.pick(), 2);
    EXPECT_GT(f.entry(0).value, f.entry(1).value);
}

TEST(Evict, a_ghost_enters_the_main_queue_of_policy_bytes) {
    Field f(Eviction::kBytes);
    f.push(0, 1000);
    ASSERT_EQ(f.pick(), 0);
    f.push(0, 1000);
    f.push(1, 1000);
    EXPECT_EQ(f.entry(0).queue, 2);
    EXPECT_EQ(f.entry(1).queue, 1);
}

TEST(Evict, policy_bytes_remembers_no_victim_of_the_main_queue) {
    Field f(Eviction::kBytes);
    f.push(0, 1000);
    ASSERT_EQ(f.pick(), 0);
    f.push(0, 1000);  // a ghost: into the main queue
    ASSERT_EQ(f.pick(), 0);
    f.push(0, 1000);
    EXPECT_EQ(f.entry(0).queue, 1);
}

TEST(Evict, a_victim_of_long_ago_is_no_ghost) {
    Field f;
    f.push(0, 1000);
    ASSERT_EQ(f.pick(), 0);
    for (uint32_t i = 1; i < 200; i++) {  // the table has room for more
        f.push(i, 1000);
        f.pick();
    }
    f.push(0, 1000);
    f.push(3500, 1000);
    EXPECT_EQ(f.entry(0).value, f.entry(3500).value);
}

TEST(Evict, entries_past_stale_until_go_before_any_other) {
    for (Eviction p : kPolicies) {
        Field f(p);
        f.push(0, 100000);
        f.push(1, 100);
        f.use(1);
        f.entry(p == Eviction::kBytes ? 0 : 1).stale_until.store_relaxed(99);
        EXPECT_EQ(f.pick(100), p == Eviction::kBytes ? 0 : 1);
    }
}

TEST(Evict, an_entry_is_not_expired_in_the_second_that_it_may_still_be_served) {
    Field f;
    f.push(0, 100000);
    f.push(1, 100);
    f.entry(1).stale_until.store_relaxed(100);
    EXPECT_EQ(f.pick(100), 0);
}

TEST(Evict, purged_tails_go_before_any_other) {
    Field f;
    f.push(0, 100000);
    f.push(1, 100);
    shm::VictimRules rules;
    rules.is_dead = [](const shm::Entry& e, void*) { return e.occupied.load_relaxed() == 100; };
    EXPECT_EQ(f.pick(0, rules), 1);
}

TEST(Evict, the_death_of_an_entry_does_not_age_the_others) {
    Field f;
    f.push(0, 100);
    f.entry(0).stale_until.store_relaxed(1);
    ASSERT_EQ(f.pick(100), 0);
    EXPECT_EQ(f.header().floor, 0u);
}

shm::VictimRules pinned(std::set<uint32_t>* refs) {
    shm::VictimRules rules;
    rules.context = refs;
    rules.is_pinned = [](uint32_t ref, void* c) { return static_cast<std::set<uint32_t>*>(c)->count(ref) != 0; };
    return rules;
}

TEST(Evict, pinned_entries_are_passed_over) {
    for (Eviction p : kPolicies) {
        Field f(p);
        std::set<uint32_t> pins;
        for (uint32_t i = 0; i < 100; i++) {
            f.push(i, 1000);
            if (i != 77) {
                pins.insert(f.ref(i));
            }
        }
        EXPECT_EQ(f.pick(0, pinned(&pins)), 77);
        EXPECT_EQ(f.audit(), "");
    }
}

TEST(Evict, there_is_no_victim_when_all_are_pinned) {
    for (Eviction p : kPolicies) {
        Field f(p);
        std::set<uint32_t> pins;
        for (uint32_t i = 0; i < 500; i++) {
            f.push(i, 1000 + i);
            pins.insert(f.ref(i));
        }
        EXPECT_EQ(f.pick(0, pinned(&pins)), -1);
        EXPECT_EQ(f.queues().count(), 500u);
        EXPECT_EQ(f.audit(), "");
    }
}

TEST(Evict, expired_but_pinned_entries_stay) {
    Field f;
    std::set<uint32_t> pins;
    f.push(0, 1000);
    f.push(1, 900);
    f.entry(0).stale_until.store_relaxed(1);
    pins.insert(f.ref(0));
    EXPECT_EQ(f.pick(100, pinned(&pins)), 1);
}

TEST(Evict, one_call_looks_at_a_bounded_number_of_entries) {
    for (Eviction p : kPolicies) {
        Field f(p);
        for (uint32_t i = 0; i < kField; i++) {
            f.push(i, 1000);
            for (int k = 0; k < 3; k++) {
                f.use(i);
            }
        }
        struct Asked {
            uint32_t times = 0;
        } asked;
        shm::VictimRules rules;
        rules.context = &asked;
        rules.is_pinned = [](uint32_t, void* c) {
            static_cast<Asked*>(c)->times++;
            return true;
        };
        EXPECT_EQ(f.pick(0, rules), -1);
        EXPECT_LE(asked.times, EvictQueues::kMaxSteps + shm::EvictHeader::kQueues);
    }
}

TEST(Evict, where_all_are_hot_somebody_goes_all_the_same) {
    for (Eviction p : kPolicies) {
        Field f(p);
        for (uint32_t i = 0; i < kField; i++) {
            f.push(i, 1000);
            for (int k = 0; k < 3; k++) {
                f.use(i);
            }
        }
        EXPECT_NE(f.pick(), -1);
        EXPECT_EQ(f.audit(), "");
    }
}

TEST(Evict, removing_twice_is_harmless) {
    Field f;
    f.push(0, 1000);
    EXPECT_TRUE(f.queues().remove_locked(f.ref(0)));
    EXPECT_FALSE(f.queues().remove_locked(f.ref(0)));
    EXPECT_FALSE(f.queues().remove_locked(0));
    EXPECT_EQ(f.audit(), "");
}

TEST(Evict, a_removed_entry_is_no_victim) {
    for (Eviction p : kPolicies) {
        Field f(p);
        f.push(0, 1000);
        f.push(1, 1000);
        f.push(2, 1000);
        f.queues().remove_locked(f.ref(1));
        EXPECT_EQ(f.pick(), 0);
        EXPECT_EQ(f.pick(), 2);
        EXPECT_EQ(f.pick(), -1);
    }
}

TEST(Evict, the_audit_holds_through_a_random_life) {
    for (Eviction p : kPolicies) {
        Field f(p);
        std::mt19937 rng(7);
        std::set<uint32_t> in;
        for (int step = 0; step < 30000; step++) {
            const uint32_t i = rng() % kField;
            if (in.count(i) == 0) {
                f.push(i, 64 + rng() % (1U << (7 + rng() % 16)));
                in.insert(i);
            } else if (rng() % 8 == 0) {
                ASSERT_TRUE(f.queues().remove_locked(f.ref(i)));
                in.erase(i);
            } else {
                f.use(i);
            }
            if (in.size() > 1500) {
                const int64_t v = f.pick();
                ASSERT_EQ(in.erase(static_cast<uint32_t>(v)), 1u);
            }
            if (step % 1000 == 0) {
                ASSERT_EQ(f.audit(), "");
            }
        }
        EXPECT_EQ(f.queues().count(), in.size());
        EXPECT_EQ(f.audit(), "");
    }
}

TEST(Evict, rebuilt_queues_hold_the_same_entries_and_keep_their_use_counts) {
    for (Eviction p : kPolicies) {
        Field f(p);
        for (uint32_t i = 0; i < 300; i++) {
            f.push(i, 500 + 37 * i);
        }
        f.use(5);
        f.use(5);
        const uint64_t bytes = f.queues().bytes();
        f.queues().clear_locked();
        EXPECT_EQ(f.queues().count(), 0u);
        for (uint32_t i = 0; i < 300; i++) {
            f.entry(i).prev = f.entry(i).next = 0xdeadbeef;
            f.queues().push_rebuilt_locked(f.ref(i));
        }
        EXPECT_EQ(f.queues().bytes(), bytes);
        EXPECT_EQ(f.queues().count(), 300u);
        EXPECT_EQ(f.entry(5).freq.load_relaxed(), 2);
        EXPECT_GT(f.entry(5).value, f.entry(4).value);  // though larger
        EXPECT_EQ(f.audit(), "");
    }
}

TEST(Evict, rebuilding_does_not_make_all_entries_young) {
    Field f;
    f.push(0, 50000);
    ASSERT_EQ(f.pick(), 0);
    const uint64_t floor = f.header().floor;
    f.queues().clear_locked();
    EXPECT_GT(floor, 0u);
    EXPECT_EQ(f.header().floor, floor);
}

TEST(Evict, nonsense_links_let_the_queue_go_and_call_for_repair) {
    for (uint32_t bad : {0xffffffffU, 1U, 0x7fffffffU}) {
        Field f;
        for (uint32_t i = 0; i < 10; i++) {
            f.push(i, 1000);
        }
        f.entry(0).prev = bad;  // 0 is the tail
        EXPECT_FALSE(f.queues().is_broken_locked());
        while (f.pick() >= 0) {
        }
        EXPECT_TRUE(f.queues().is_broken_locked());
        f.queues().clear_locked();
        f.queues().push_rebuilt_locked(f.ref(3));
        EXPECT_FALSE(f.queues().is_broken_locked());
        EXPECT_EQ(f.audit(), "");
    }
}

TEST(EvictAudit, tells_a_wrong_link) {
    Field f;
    for (uint32_t i = 0; i < 5; i++) {
        f.push(i, 1000);
    }
    f.entry(2).prev = f.ref(0);
    EXPECT_NE(f.audit(), "");
}

TEST(EvictAudit, tells_a_cycle) {
    Field f;
    for (uint32_t i = 0; i < 5; i++) {
        f.push(i, 1000);
    }
    f.entry(0).next = f.ref(4);
    EXPECT_NE(f.audit(), "");
}

TEST(EvictAudit, tells_wrong_bytes) {
    Field f;
    f.push(0, 1000);
    f.entry(0).occupied.store_relaxed(1001);
    EXPECT_NE(f.audit(), "");
}

TEST(EvictAudit, tells_an_impossible_worth) {
    Field f;
    f.push(0, 1000);
    f.entry(0).value = ~0ULL >> 1;
    EXPECT_NE(f.audit(), "");
}

// The study's rows "GD-CLOCK a=1 + R1": at most 2 % above. The rest of the traces: replay_bench.
TEST(EvictReplay, misses_no_more_than_the_study_on_a_web_trace) {
    const double study[][2] = {{.01, .684}, {.05, .610}, {.10, .584}};
    const test::Trace trace = test::load_trace(test::trace_path("web_adaptsize"));
    if (trace.requests.empty()) {
        GTEST_SKIP() << "no " << test::trace_path("web_adaptsize") << ": set SLAB_TRACES";
    }
    for (const auto& row : study) {
        EXPECT_LE(test::replay(trace, Eviction::kHits, row[0], 16).requests, row[1] * 1.02);
    }
}

// Holds without any trace: what size awareness is for.
TEST(EvictReplay, hits_misses_less_often_than_bytes_on_a_size_mix) {
    test::Trace t;
    std::mt19937 rng(3);
    std::lognormal_distribution<double> size(8.8, 1.5);
    t.keys = 20000;
    std::vector<uint32_t> bytes(t.keys);
    for (uint32_t& b : bytes) {
        b = static_cast<uint32_t>(std::min(4e6, std::max(300.0, size(rng))));
    }
    for (int i = 0; i < 200000; i++) {
        const double u = std::uniform_real_distribution<double>(0, 1)(rng);
        const auto key = static_cast<uint32_t>(std::pow(static_cast<double>(t.keys), u)) % t.keys;
        t.requests.push_back({key, bytes[key]});
    }
    EXPECT_LT(test::replay(t, Eviction::kHits, .05, 16).requests,
              0.9 * test::replay(t, Eviction::kBytes, .05, 16).requests);
}

}  // namespace
}  // namespace slab_cache
