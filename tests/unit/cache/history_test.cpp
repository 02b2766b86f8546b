// An hour of counters: a row a minute, whole or not at all, in order, whatever lies in the memory.
#include "cache/history.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace slab_cache::cache {
namespace {

constexpr int64_t kBegin = 1'500'000'000;  // a whole minute
static_assert(kBegin % kHistorySec == 0);

using Rows = std::vector<PastRow>;

PastRow row_of(int64_t at_sec, uint64_t n) {
    PastRow row;
    row.at_sec = at_sec;
    for (uint32_t i = 0; i < kPastFigures; i++) {
        row.figure[i] = n * (i + 1);
    }
    return row;
}

bool is_of(const PastRow& row, uint64_t n) {
    for (uint32_t i = 0; i < kPastFigures; i++) {
        if (row.figure[i] != n * (i + 1)) {
            return false;
        }
    }
    return true;
}

void note(History* to, int64_t at_sec, uint64_t n) { write_past(to, row_of(at_sec, n)); }

Rows read(const History& from, int64_t now_sec) {
    Rows rows(kHistoryRows);
    rows.resize(read_past(from, now_sec, rows.data()));
    return rows;
}

TEST(History, zeroed_memory_has_no_rows) {
    auto h = std::make_unique<History>();
    EXPECT_TRUE(read(*h, kBegin).empty());
    EXPECT_TRUE(read(*h, 0).empty());
}

TEST(History, one_caller_a_minute_is_to_write) {
    auto h = std::make_unique<History>();
    EXPECT_TRUE(claim_past(h.get(), kBegin + 7));
    EXPECT_FALSE(claim_past(h.get(), kBegin + 7));
    EXPECT_FALSE(claim_past(h.get(), kBegin + 59));
    EXPECT_TRUE(claim_past(h.get(), kBegin + 60));
    EXPECT_FALSE(claim_past(h.get(), kBegin + 59));  // its clock was read a moment before
    EXPECT_FALSE(claim_past(h.get(), kBegin + 60));
    EXPECT_TRUE(claim_past(h.get(), kBegin + 3600));
}

TEST(History, a_nonsensical_claim_does_not_end_it) {
    auto h = std::make_unique<History>();
    for (const uint64_t claimed : {UINT64_MAX, UINT64_MAX / 2, static_cast<uint64_t>(kBegin)}) {
        h->claimed.store_relaxed(claimed);
        EXPECT_TRUE(claim_past(h.get(), kBegin)) << claimed;
        EXPECT_FALSE(claim_past(h.get(), kBegin)) << claimed;
    }
}

TEST(History, of_many_that_look_at_once_one_claims) {
    constexpr int kWorkers = 3, kMinutes = 300;
    auto h = std::make_unique<History>();
    std::atomic<int> arrived{0}, claims{0};
    std::vector<std::thread> workers;
    for (int w = 0; w < kWorkers; w++) {
        workers.emplace_back([&] {
            for (int m = 0; m < kMinutes; m++) {
                arrived++;
                while (arrived.load() < kWorkers * (m + 1)) {
                    std::this_thread::yield();
                }
                claims += claim_past(h.get(), kBegin + 60 * m) ? 1 : 0;
            }
        });
    }
    for (auto& t : workers) {
        t.join();
    }
    EXPECT_EQ(claims.load(), kMinutes);
}

TEST(History, rows_come_oldest_first_and_the_ring_goes_round) {
    auto h = std::make_unique<History>();
    for (uint64_t m = 0; m < 200; m++) {
        note(h.get(), kBegin + static_cast<int64_t>(60 * m + m % 60), m);
    }
    const Rows rows = read(*h, kBegin + 199 * 60 + 59);
    ASSERT_EQ(rows.size(), kHistoryRows);
    for (uint64_t i = 0; i < kHistoryRows; i++) {
        const uint64_t m = 200 - kHistoryRows + i;
        EXPECT_EQ(rows[i].at_sec, kBegin + static_cast<int64_t>(60 * m + m % 60));
        EXPECT_TRUE(is_of(rows[i], m));
    }
}

TEST(History, more_than_an_hour_is_covered) {
    auto h = std::make_unique<History>();
    for (int64_t m = 0; m < 200; m++) {
        note(h.get(), kBegin + 60 * m, 1);
    }
    EXPECT_GE(kBegin + 60 * 199 - read(*h, kBegin + 60 * 199).front().at_sec, 3600);
}

TEST(History, what_is_older_than_the_ring_is_not_shown) {
    auto h = std::make_unique<History>();
    note(h.get(), kBegin, 1);
    note(h.get(), kBegin + 60, 2);
    EXPECT_EQ(read(*h, kBegin + 60 * (kHistoryRows - 1)).size(), 2u);
    EXPECT_EQ(read(*h, kBegin + 60 * kHistoryRows).size(), 1u);
    EXPECT_TRUE(read(*h, kBegin + 60 * (kHistoryRows + 1)).empty());
    EXPECT_TRUE(read(*h, kBegin + 1'000'000).empty());
}

TEST(History, what_is_of_the_future_is_not_shown) {
    auto h = std::make_unique<History>();
    note(h.get(), kBegin + 3600, 1);
    EXPECT_TRUE(read(*h, kBegin).empty());
    EXPECT_TRUE(read(*h, 0).empty());
}

TEST(History, a_minute_without_a_row_is_left_out) {
    auto h = std::make_unique<History>();
    for (int64_t m : {0, 1, 2, 40, 41}) {
        note(h.get(), kBegin + 60 * m, static_cast<uint64_t>(m));
    }
    const Rows rows = read(*h, kBegin + 60 * 41);
    ASSERT_EQ(rows.size(), 5u);
    EXPECT_EQ(rows[3].at_sec - rows[2].at_sec, 38 * 60);
}

TEST(History, a_row_of_which_any_bit_is_wrong_is_passed_over) {
    auto h = std::make_unique<History>();
    note(h.get(), kBegin, 1);
    note(h.get(), kBegin + 60, 2);
    auto& torn = h->row[static_cast<uint64_t>(kBegin) / kHistorySec % kHistoryRows];
    auto* bytes = reinterpret_cast<unsigned char*>(&torn);
    for (size_t bit = 0; bit < 8 * sizeof(torn); bit++) {
        bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ (1u << bit % 8));
        const Rows rows = read(*h, kBegin + 60);
        ASSERT_EQ(rows.size(), 1u) << bit;
        EXPECT_TRUE(is_of(rows[0], 2));
        bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ (1u << bit % 8));
    }
    ASSERT_EQ(read(*h, kBegin + 60).size(), 2u);
}

TEST(History, sealed_nonsense_is_passed_over) {
    auto h = std::make_unique<History>();
    for (uint32_t i = 0; i < kHistoryRows; i++) {
        uint64_t words[1 + kPastFigures] = {};
        words[0] =
            i % 2 == 0 ? UINT64_MAX - i : static_cast<uint64_t>(kBegin) + i;  // of another row's minute, but for one
        h->row[i].write(words);
    }
    int64_t before = 0;
    for (const PastRow& row : read(*h, kBegin + 60)) {
        EXPECT_TRUE(row.at_sec > before && row.at_sec < kBegin + 120);
        before = row.at_sec;
    }
}

TEST(History, a_successor_goes_on_with_it) {
    auto old = std::make_unique<History>(), h = std::make_unique<History>();
    for (int64_t m = 0; m < 10; m++) {
        ASSERT_TRUE(claim_past(old.get(), kBegin + 60 * m));
        note(old.get(), kBegin + 60 * m, static_cast<uint64_t>(m) + 100);
    }
    copy_past(*old, h.get());
    EXPECT_FALSE(claim_past(h.get(), kBegin + 60 * 9 + 5));
    ASSERT_TRUE(claim_past(h.get(), kBegin + 60 * 10));
    note(h.get(), kBegin + 60 * 10, 1);
    const Rows rows = read(*h, kBegin + 60 * 10);
    ASSERT_EQ(rows.size(), 11u);
    EXPECT_TRUE(is_of(rows[9], 109) && is_of(rows[10], 1));
}

TEST(History, writers_at_once_mix_nothing) {
    auto h = std::make_unique<History>();
    std::atomic<bool> stop{false};
    std::vector<std::thread> writers;
    for (uint64_t w = 1; w <= 3; w++) {
        writers.emplace_back([&, w] {
            while (!stop.load()) {
                note(h.get(), kBegin, w);
            }
        });
    }
    for (int i = 0; i < 20000; i++) {
        for (const PastRow& row : read(*h, kBegin)) {
            ASSERT_TRUE(is_of(row, row.figure[0]));
        }
    }
    stop.store(true);
    for (auto& t : writers) {
        t.join();
    }
}

}  // namespace
}  // namespace slab_cache::cache
