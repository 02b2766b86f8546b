// The last purges: newest first, whole or not at all.
#include "cache/purge_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace slab_cache::cache {
namespace {

using Rows = std::vector<LoggedPurge>;

Selection selection(Understood* what) {
    Selection s = {};
    s.understood = what;
    s.understood_count = 1;
    s.accepted = 3;
    return s;
}

void log(PurgeLog* to, const std::string& path, uint64_t seq, Purger by = {PurgeRoad::kApi, false, "192.0.2.1"}) {
    Understood what{Thing::kUrl, "a.example", path};
    log_purge(to, selection(&what), seq, by, 1000 + static_cast<int64_t>(seq));
}

uint32_t read(const PurgeLog& from, Rows* rows, uint32_t cap = 20) {
    rows->resize(cap);
    return last_purges(from, rows->data(), cap);
}

TEST(PurgeLog, zeroed_memory_has_none) {
    auto empty = std::make_unique<PurgeLog>();
    Rows rows;
    EXPECT_EQ(read(*empty, &rows), 0u);
}

TEST(PurgeLog, tells_what_when_from_whom_and_how) {
    auto l = std::make_unique<PurgeLog>();
    Understood what{Thing::kPrefix, "a.example", "/news/"};
    Selection s = selection(&what);
    s.soft = true;
    log_purge(l.get(), s, 77, {PurgeRoad::kMethod, true, "192.0.2.1"}, 1234);
    s.all = true;
    s.soft = false;
    log_purge(l.get(), s, 78, {PurgeRoad::kFleet, false, {}}, 1235);
    Rows rows;
    ASSERT_EQ(read(*l, &rows), 2u);
    EXPECT_TRUE(rows[0].all && !rows[0].soft && rows[0].by.address.empty() && rows[0].first.text.empty());
    EXPECT_EQ(rows[0].by.road, PurgeRoad::kFleet);
    EXPECT_EQ(rows[0].seq, 78u);
    EXPECT_EQ(rows[1].at_sec, 1234);
    EXPECT_EQ(rows[1].accepted, 3u);
    EXPECT_EQ(rows[1].first.thing, Thing::kPrefix);
    EXPECT_EQ(rows[1].first.host, "a.example");
    EXPECT_EQ(rows[1].first.text, "/news/");
    EXPECT_EQ(rows[1].by.address, "192.0.2.1");
    EXPECT_TRUE(rows[1].soft && rows[1].by.is_signed && !rows[1].all && !rows[1].is_cut);
}

TEST(PurgeLog, the_newest_come_first_and_the_oldest_go) {
    auto l = std::make_unique<PurgeLog>();
    for (uint64_t i = 1; i <= 100; i++) {
        log(l.get(), "/" + std::to_string(i), i);
    }
    Rows rows;
    ASSERT_EQ(read(*l, &rows), 20u);
    for (uint64_t i = 0; i < 20; i++) {
        EXPECT_EQ(rows[i].first.text, "/" + std::to_string(100 - i));
    }
    EXPECT_EQ(read(*l, &rows, 100), kLoggedPurges);
}

TEST(PurgeLog, long_names_are_cut_and_say_so) {
    auto l = std::make_unique<PurgeLog>();
    const std::string host(1000, 'h'), path = "/" + std::string(5000, 'p'), address(200, 'a');
    Understood what{Thing::kUrl, host, path};
    log_purge(l.get(), selection(&what), 1, {PurgeRoad::kApi, false, address}, 0);
    Rows rows;
    ASSERT_EQ(read(*l, &rows), 1u);
    EXPECT_TRUE(rows[0].is_cut);
    EXPECT_EQ(rows[0].by.address.size() + rows[0].first.host.size() + rows[0].first.text.size(), kPurgeRowText);
    EXPECT_EQ(rows[0].first.text, Bytes(path).substr(0, rows[0].first.text.size()));
}

TEST(PurgeLog, no_character_is_cut) {
    auto l = std::make_unique<PurgeLog>();
    for (const char* start : {"/", "/x"}) {
        std::string path = start;
        for (int i = 0; i < 500; i++) {
            path += "\xc3\xa4";
        }
        log(l.get(), path, 1);
        Rows rows;
        ASSERT_GE(read(*l, &rows), 1u);
        EXPECT_EQ(rows[0].first.text.back(), '\xa4');
    }
}

TEST(PurgeLog, a_row_of_which_any_bit_is_wrong_is_passed_over) {
    auto l = std::make_unique<PurgeLog>();
    log(l.get(), "/1", 1);
    log(l.get(), "/2", 2);
    Rows rows;
    auto* bytes = reinterpret_cast<unsigned char*>(&l->row[1]);
    for (size_t bit = 0; bit < 8 * sizeof(l->row[1]); bit++) {
        bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ (1u << bit % 8));
        ASSERT_EQ(read(*l, &rows), 1u) << bit;
        EXPECT_EQ(rows[0].first.text, "/2");
        bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ (1u << bit % 8));
    }
    ASSERT_EQ(read(*l, &rows), 2u);
}

TEST(PurgeLog, sealed_nonsense_is_passed_over) {
    auto l = std::make_unique<PurgeLog>();
    for (uint64_t w = 0; w < kPurgeRowWords; w++) {
        uint64_t words[kPurgeRowWords] = {};
        words[w] = UINT64_MAX;
        l->row[w % kLoggedPurges].write(words);
        Rows rows;
        const uint32_t n = read(*l, &rows);
        for (uint32_t i = 0; i < n; i++) {
            EXPECT_LE(rows[i].by.address.size() + rows[i].first.host.size() + rows[i].first.text.size(), kPurgeRowText);
        }
    }
}

TEST(PurgeLog, a_successor_goes_on_with_it) {
    auto old = std::make_unique<PurgeLog>(), l = std::make_unique<PurgeLog>();
    for (uint64_t i = 1; i <= 40; i++) {
        log(old.get(), "/" + std::to_string(i), i);
    }
    copy_purge_log(*old, l.get());
    log(l.get(), "/new", 41);
    Rows rows;
    ASSERT_EQ(read(*l, &rows), 20u);
    EXPECT_EQ(rows[0].first.text, "/new");
    EXPECT_EQ(rows[1].first.text, "/40");
}

TEST(PurgeLog, writers_at_once_mix_nothing) {
    auto l = std::make_unique<PurgeLog>();
    std::atomic<bool> stop{false};
    std::vector<std::thread> writers;
    for (int w = 0; w < 3; w++) {
        writers.emplace_back([&, w] {
            const std::string path(static_cast<size_t>(50 + 100 * w), static_cast<char>('a' + w));
            while (!stop.load()) {
                log(l.get(), path, static_cast<uint64_t>(w));
            }
        });
    }
    Rows rows;
    for (int i = 0; i < 3000; i++) {
        const uint32_t n = read(*l, &rows);
        for (uint32_t k = 0; k < n; k++) {
            const Bytes text = rows[k].first.text;
            ASSERT_EQ(text.size(), 50 + 100 * rows[k].seq);
            ASSERT_EQ(text.find_first_not_of(text[0]), Bytes::npos);
            ASSERT_TRUE(k == 0 || rows[k].number < rows[k - 1].number);
        }
    }
    stop.store(true);
    for (auto& t : writers) {
        t.join();
    }
}

}  // namespace
}  // namespace slab_cache::cache
