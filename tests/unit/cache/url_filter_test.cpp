// Which URLs may be stored: a no is exact, whatever goes on meanwhile.
#include "cache/url_filter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/hash.h"

namespace slab_cache::cache {
namespace {

struct World {
    explicit World(uint64_t objects = 1000) : area(UrlFilter::bytes_for(objects) / 8) {
        filter = UrlFilter(&head, area.data(), UrlFilter::bytes_for(objects));
    }
    UrlFilterHead head = {};
    std::vector<uint64_t> area;
    UrlFilter filter;
    void next() const { filter.end_epoch(filter.epoch()); }
};

uint64_t url(uint64_t i) { return base::mix64(i, 4711); }

TEST(UrlFilter, zeroed_memory_says_yes_until_it_knows) {
    World w;
    EXPECT_TRUE(w.filter.is_listed(url(1)));
    for (uint32_t i = 0; i < kEpochs; i++) {
        EXPECT_TRUE(w.filter.is_listed(url(1)));
        w.next();
    }
    EXPECT_FALSE(w.filter.is_listed(url(1)));
}

TEST(UrlFilter, what_is_listed_stays_so_for_three_epochs_in_any_year) {
    for (uint32_t start : {0u, 3u, 250u, 253u, 255u, 256u, 510u, 70000u}) {
        World w;
        w.filter.begin_empty();
        while (w.filter.epoch() < start) {
            w.next();
        }
        (void) w.filter.list(url(5));
        for (uint32_t i = 0; i < kEpochs; i++) {
            EXPECT_TRUE(w.filter.is_listed(url(5))) << start << " + " << i;
            w.next();
        }
        for (uint32_t i = 0; i < kEpochs; i++) {  // an old cell may look like one to come
            w.next();
        }
        EXPECT_FALSE(w.filter.is_listed(url(5))) << start;
    }
}

TEST(UrlFilter, few_of_those_that_are_not_listed_are_taken_for_it) {
    World w(5000);
    w.filter.begin_empty();
    for (uint64_t i = 0; i < 5000; i++) {
        (void) w.filter.list(url(i));
    }
    uint32_t wrong = 0;
    for (uint64_t i = 0; i < 5000; i++) {
        EXPECT_TRUE(w.filter.is_listed(url(i)));
        wrong += w.filter.is_listed(url(1'000'000 + i)) ? 1 : 0;
    }
    EXPECT_LT(wrong, 150u);
}

TEST(UrlFilter, who_was_not_listed_for_three_epochs_is_told) {
    World w;
    w.filter.begin_empty();
    const uint32_t since = w.filter.list(url(1));
    w.next();
    w.next();
    EXPECT_TRUE(w.filter.is_current(since));
    w.next();
    EXPECT_FALSE(w.filter.is_current(since));
}

TEST(UrlFilter, an_epoch_ends_once_however_many_have_walked) {
    World w;
    w.filter.begin_empty();
    const uint32_t e = w.filter.epoch();
    w.filter.end_epoch(e);
    w.filter.end_epoch(e);
    EXPECT_EQ(w.filter.epoch(), e + 1);
}

TEST(UrlFilter, where_all_is_listed_nothing_ends_it) {
    World w;
    w.filter.begin_empty();
    w.filter.list_all();
    w.next();
    EXPECT_TRUE(w.filter.is_listed(url(9)));
    EXPECT_TRUE(w.filter.is_current(3));
}

TEST(UrlFilter, what_was_unheard_is_known_by_the_counter_of_purges) {
    World w;
    EXPECT_EQ(w.filter.add_unheard(url(1), 100), 0u);
    EXPECT_TRUE(w.filter.is_unheard_since(url(1), 100));
    EXPECT_FALSE(w.filter.is_unheard_since(url(1), 101));
    EXPECT_EQ(w.filter.unheard_count(url(1)), 1u);
    EXPECT_EQ(w.filter.add_unheard(url(1), 50), 1u);  // a slow one
    EXPECT_EQ(w.filter.unheard_count(url(1)), 2u);
    EXPECT_TRUE(w.filter.is_unheard_since(url(1), 100));
}

// Whoever lists and whoever invalidates: one of them sees the other.
TEST(UrlFilter, list_and_unheard_never_miss_each_other) {
    World w;
    w.filter.begin_empty();
    std::atomic<int> ready{0};
    constexpr int kTurns = 20000;
    std::vector<char> saw_note(kTurns), saw_listed(kTurns);
    const auto meet = [&](int i) {
        ready++;
        while (ready < 2 * (i + 1)) {
        }
    };
    std::thread invalidates([&] {
        for (int i = 0; i < kTurns; i++) {
            meet(i);
            (void) w.filter.add_unheard(url(static_cast<uint64_t>(i)), static_cast<uint64_t>(i) + 1);
            saw_listed[static_cast<size_t>(i)] = w.filter.is_listed(url(static_cast<uint64_t>(i)));
        }
    });
    for (int i = 0; i < kTurns; i++) {
        const auto u = url(static_cast<uint64_t>(i));
        const uint32_t before = w.filter.unheard_count(u);
        meet(i);
        if (i % 100 == 0) {
            w.next();
        }
        (void) w.filter.list(u);
        saw_note[static_cast<size_t>(i)] =
            w.filter.is_unheard_since(u, static_cast<uint64_t>(i) + 1) && w.filter.unheard_count(u) != before;
    }
    invalidates.join();
    for (size_t i = 0; i < kTurns; i++) {
        EXPECT_TRUE(saw_note[i] || saw_listed[i]) << i;
    }
}

}  // namespace
}  // namespace slab_cache::cache
