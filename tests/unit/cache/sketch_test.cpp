// Heavy hitters: what is heavy is never missing, what is light does no harm, nobody waits.
#include "cache/sketch.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"

namespace slab_cache::cache {
namespace {

constexpr int64_t kNow = 1'800'000'000;
constexpr uint64_t kMs = 5'000'000;

std::unique_ptr<Sketch> empty() { return std::make_unique<Sketch>(); }

Sample sample(uint64_t id, uint64_t weight, Bytes name = "name") { return {base::mix64(id) | 1, name, weight, 1, 0}; }

uint64_t by_weight(const SketchRow& row) { return row.weight; }
uint64_t by_count(const SketchRow& row) { return row.count; }

std::vector<SketchRow> top(Sketch* s, uint32_t n, WeighFn weigh = by_weight, uint64_t ms = kMs) {
    std::vector<SketchRow> rows(n);
    rows.resize(sketch_top(s, ms, weigh, rows.data(), n));
    return rows;
}

TEST(Sketch, adds_up_weight_and_count_of_a_name_and_keeps_the_last_note) {
    auto s = empty();
    Sample a = sample(1, 100, "a.example/x");
    sketch_add(s.get(), a, kNow, kMs);
    a.note = 7;
    sketch_add(s.get(), a, kNow + 5, kMs);
    SketchRow row;
    ASSERT_TRUE(sketch_find(s.get(), a.fingerprint, kMs, &row));
    EXPECT_EQ(row.weight, 200u);
    EXPECT_EQ(row.count, 2u);
    EXPECT_EQ(row.note, 7);
    EXPECT_EQ(row.error, 0u);
    EXPECT_EQ(row.last_sec, kNow + 5);
    EXPECT_EQ(row.text(), "a.example/x");
}

TEST(Sketch, of_a_name_that_was_never_seen_there_is_no_row) {
    auto s = empty();
    SketchRow row;
    EXPECT_FALSE(sketch_find(s.get(), 4711, kMs, &row));
    EXPECT_TRUE(top(s.get(), 10).empty());
}

TEST(Sketch, a_long_name_is_cut) {
    auto s = empty();
    const std::string name(1000, 'x');
    sketch_add(s.get(), sample(1, 1, name), kNow, kMs);
    EXPECT_EQ(top(s.get(), 1).at(0).text(), name.substr(0, kSketchName));
}

TEST(Sketch, the_heaviest_come_first_and_no_more_than_asked_for) {
    auto s = empty();
    for (uint64_t i = 1; i <= 50; i++) {
        sketch_add(s.get(), sample(i, i * 10), kNow, kMs);
    }
    const auto rows = top(s.get(), 5);
    ASSERT_EQ(rows.size(), 5u);
    for (uint64_t i = 0; i < 5; i++) {
        EXPECT_EQ(rows[i].weight, (50 - i) * 10);
    }
    EXPECT_EQ(top(s.get(), 100).size(), 50u);
}

TEST(Sketch, heavy_names_survive_any_number_of_light_ones_and_are_overestimated_by_at_most_their_error) {
    for (uint32_t seed = 1; seed <= 3; seed++) {
        SCOPED_TRACE(seed);
        auto s = empty();
        std::mt19937 random(seed);
        std::vector<uint64_t> truth(20);
        for (int i = 0; i < 200'000; i++) {
            const bool heavy = random() % 2 == 0;
            const uint64_t id = heavy ? random() % truth.size() : 1000 + random() % 50'000;
            sketch_add(s.get(), sample(id, 10), kNow, kMs);
            if (heavy) {
                truth[id] += 10;
            }
        }
        for (uint64_t id = 0; id < truth.size(); id++) {
            SketchRow row;
            ASSERT_TRUE(sketch_find(s.get(), base::mix64(id) | 1, kMs, &row)) << id;
            EXPECT_GE(row.weight, truth[id]);
            EXPECT_LE(row.weight - row.error, truth[id]);
        }
        for (const SketchRow& row : top(s.get(), 20)) {
            EXPECT_LT(row.error, row.weight);
        }
    }
}

TEST(Sketch, weights_are_halved_every_half_life) {
    auto s = empty();
    sketch_add(s.get(), sample(1, 1000), kNow, kMs);
    sketch_add(s.get(), sample(2, 8), kNow + kHalfLifeSec, kMs);
    EXPECT_EQ(top(s.get(), 2).at(0).weight, 500u);
    sketch_add(s.get(), sample(2, 0), kNow + 4 * kHalfLifeSec, kMs);
    EXPECT_EQ(top(s.get(), 2).at(0).weight, 62u);
    EXPECT_EQ(top(s.get(), 2).at(1).weight, 1u);
}

TEST(Sketch, a_set_that_is_locked_drops_the_sample_and_is_taken_over_when_its_owner_is_gone) {
    auto s = empty();
    sketch_add(s.get(), sample(1, 5), kNow, kMs);
    for (SketchSet& set : s->set) {
        set.lock.store_relaxed(static_cast<uint32_t>(kMs));
    }
    sketch_add(s.get(), sample(1, 5), kNow, kMs + kStaleLockMs - 1);
    EXPECT_TRUE(top(s.get(), 1, by_weight, kMs + 1).empty());
    sketch_add(s.get(), sample(1, 5), kNow, kMs + kStaleLockMs);
    EXPECT_EQ(top(s.get(), 1, by_weight, kMs + 3 * kStaleLockMs).at(0).weight, 10u);
}

// The clocks that workers go by are those of their event loops: one may lag behind another.
TEST(Sketch, a_lock_taken_by_a_clock_ahead_of_ours_is_held) {
    auto s = empty();
    sketch_add(s.get(), sample(1, 5), kNow, kMs);
    for (SketchSet& set : s->set) {
        set.lock.store_relaxed(static_cast<uint32_t>(kMs + 1));
    }
    sketch_add(s.get(), sample(1, 5), kNow, kMs);
    EXPECT_EQ(top(s.get(), 1, by_weight, kMs + 2 * kStaleLockMs).at(0).weight, 5u);
}

TEST(Sketch, a_clock_that_lags_behind_or_is_set_back_wipes_nothing) {
    auto s = empty();
    sketch_add(s.get(), sample(1, 1000), kNow, kMs);
    const int64_t next = (kNow / kHalfLifeSec + 1) * kHalfLifeSec;
    sketch_add(s.get(), sample(2, 8), next, kMs);
    sketch_add(s.get(), sample(2, 8), next - 1, kMs);
    sketch_add(s.get(), sample(2, 8), next, kMs);
    EXPECT_EQ(top(s.get(), 1).at(0).weight, 500u);
    sketch_add(s.get(), sample(2, 8), next - 100 * kHalfLifeSec, kMs);
    sketch_add(s.get(), sample(2, 8), next - 99 * kHalfLifeSec, kMs);
    EXPECT_EQ(top(s.get(), 1).at(0).weight, 250u);
}

TEST(Sketch, nonsense_in_the_zone_is_a_wrong_number_and_never_a_read_outside) {
    auto s = empty();
    std::mt19937 random(7);
    auto* words = reinterpret_cast<uint32_t*>(s.get());
    for (size_t i = 0; i < sizeof(Sketch) / sizeof(uint32_t); i++) {
        words[i] = static_cast<uint32_t>(random());
    }
    for (SketchSet& set : s->set) {
        set.lock.store_relaxed(0);
    }
    for (const SketchRow& row : top(s.get(), 100)) {
        EXPECT_LE(row.text().size(), size_t{kSketchName});
    }
    sketch_add(s.get(), sample(3, 1), kNow, kMs);
}

TEST(Sketch, several_writers_lose_samples_at_most) {
    auto s = empty();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&] {
            for (uint64_t i = 0; i < 20'000; i++) {
                sketch_add(s.get(), sample(i % 10, 1), kNow, kMs);
            }
        });
    }
    for (auto& t : threads) {
        t.join();
    }
    uint64_t sum = 0;
    for (const SketchRow& row : top(s.get(), 100, by_count)) {
        sum += row.weight;
    }
    EXPECT_GT(sum, 0u);
    EXPECT_LE(sum, 80'000u);
}

TEST(HitSampler, takes_every_event_while_they_are_few) {
    Sampler sampler;
    for (int second = 0; second < 5; second++) {
        for (int i = 0; i < 200; i++) {
            EXPECT_EQ(sampler.take(kNow + second), 1u);
        }
    }
}

TEST(HitSampler, takes_few_of_many_and_their_weights_add_up_to_all) {
    Sampler sampler;
    uint64_t weight = 0;
    uint64_t taken = 0;
    constexpr uint64_t kEvents = 5'000'000;
    for (uint64_t i = 0; i < kEvents; i++) {
        const uint32_t w = sampler.take(kNow + static_cast<int64_t>(i / 1'000'000));
        weight += w;
        taken += w != 0;
    }
    EXPECT_LT(taken, 20'000u);
    EXPECT_NEAR(static_cast<double>(weight), static_cast<double>(kEvents), kEvents * 0.1);
}

TEST(HitSampler, takes_all_again_when_the_traffic_has_gone) {
    Sampler sampler;
    for (int i = 0; i < 1'000'000; i++) {
        (void) sampler.take(kNow);
    }
    uint32_t last = 0;
    for (int second = 1; second < 100'000; second++) {
        const uint32_t w = sampler.take(kNow + second);
        last = w != 0 ? w : last;
    }
    EXPECT_EQ(last, 1u);
}

}  // namespace
}  // namespace slab_cache::cache
