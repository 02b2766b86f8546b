// Purges by pattern.
#include "cache/globs.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace slab_cache::cache {
namespace {

struct Raised {
    std::vector<std::string> hosts;
    static void note(Bytes host, bool, void* to) { static_cast<Raised*>(to)->hosts.emplace_back(host); }
};

struct Globs {
    std::unique_ptr<GlobTable> table = std::make_unique<GlobTable>();
    Raised raised;

    bool add(Bytes pattern, uint64_t seq, bool soft = false, Bytes host = "h") {
        const bool added = add_glob(table.get(), {host, pattern, soft}, seq, Raised::note, &raised);
        publish_globs(table.get(), seq);
        return added;
    }
    GlobAnswer judge(Bytes path, uint64_t birth, Bytes args = {}, Bytes host = "h") const {
        return judge_globs(*table, {host, path, args}, birth);
    }
};

// What the definition says, slowly.
bool slow_match(Bytes pattern, Bytes text) {
    if (pattern.empty()) {
        return text.empty();
    }
    if (pattern[0] == '*') {
        for (size_t i = 0; i <= text.size(); i++) {
            if (slow_match(base::slice(pattern, 1), base::slice(text, i))) {
                return true;
            }
        }
        return false;
    }
    return !text.empty() && text[0] == pattern[0] && slow_match(base::slice(pattern, 1), base::slice(text, 1));
}

TEST(GlobMatch, agrees_with_its_definition) {
    std::mt19937 random(11);
    int matched = 0;
    for (int i = 0; i < 200'000; i++) {
        std::string pattern;
        std::string text;
        for (uint32_t n = random() % 7; n > 0; n--) {
            pattern += "ab*"[random() % 3];
        }
        for (uint32_t n = random() % 8; n > 0; n--) {
            text += "ab"[random() % 2];
        }
        const bool want = slow_match(pattern, text);
        matched += want;
        ASSERT_EQ(glob_matches(pattern, text), want) << pattern << " over " << text;
    }
    EXPECT_GT(matched, 10'000);
}

TEST(GlobRules, purge_what_is_older_and_matches) {
    Globs g;
    ASSERT_TRUE(g.add("/news*.html", 10));
    EXPECT_EQ(g.judge("/news/1.html", 9), GlobAnswer::kHard);
    EXPECT_EQ(g.judge("/news/1.html", 10), GlobAnswer::kNone);
    EXPECT_EQ(g.judge("/news/1.txt", 9), GlobAnswer::kNone);
    EXPECT_EQ(g.judge("/news/1.html", 9, {}, "other"), GlobAnswer::kNone);
}

TEST(GlobRules, go_by_the_path_whatever_the_arguments_unless_they_name_some) {
    Globs g;
    g.add("/a*", 10);
    g.add("/b?x=*", 10);
    EXPECT_EQ(g.judge("/a", 9, "x=1"), GlobAnswer::kHard);
    EXPECT_EQ(g.judge("/b", 9, "x=1"), GlobAnswer::kHard);
    EXPECT_EQ(g.judge("/b", 9, "y=1"), GlobAnswer::kNone);
    EXPECT_EQ(g.judge("/b", 9), GlobAnswer::kNone);
}

TEST(GlobRules, soft_ones_soften_and_hard_ones_win) {
    Globs g;
    g.add("/a*", 10, true);
    EXPECT_EQ(g.judge("/ab", 9), GlobAnswer::kSoft);
    g.add("/ab*", 11, false);
    EXPECT_EQ(g.judge("/ab", 9), GlobAnswer::kHard);
}

TEST(GlobRules, given_again_take_no_other_place) {
    Globs g;
    for (uint64_t i = 1; i <= 1000; i++) {
        ASSERT_TRUE(g.add("/a*", i));
    }
    EXPECT_TRUE(g.raised.hosts.empty());
    EXPECT_EQ(g.judge("/a", 999), GlobAnswer::kHard);
    EXPECT_EQ(g.judge("/a", 1000), GlobAnswer::kNone);
    EXPECT_EQ(g.table->newest.load_relaxed(), 1000u);
}

TEST(GlobRules, that_must_go_raise_their_host_first_the_oldest_first) {
    Globs g;
    for (uint64_t i = 1; i <= kGlobRules; i++) {
        ASSERT_TRUE(g.add("/p" + std::to_string(i) + "*", i, false, "host" + std::to_string(i)));
    }
    EXPECT_TRUE(g.raised.hosts.empty());
    g.add("/x*", 100);
    g.add("/y*", 101);
    EXPECT_EQ(g.raised.hosts, (std::vector<std::string>{"host1", "host2"}));
    EXPECT_EQ(g.judge("/x", 50), GlobAnswer::kHard);
}

TEST(GlobRules, too_long_for_a_rule_are_refused) {
    Globs g;
    EXPECT_FALSE(g.add(std::string(kGlobText, '*'), 1));
    EXPECT_TRUE(g.add(std::string(kGlobText - 1, '*'), 1));
    EXPECT_EQ(g.judge("/", 0), GlobAnswer::kHard);
}

TEST(GlobRules, count_for_urls_too_long_to_be_looked_at) {
    Globs g;
    EXPECT_EQ(g.judge(std::string(kGlobSubject, 'x'), 0), GlobAnswer::kNone);
    g.add("/a*", 10);
    EXPECT_EQ(g.judge(std::string(kGlobSubject, 'x'), 9), GlobAnswer::kHard);
    EXPECT_EQ(g.judge(std::string(kGlobSubject, 'x'), 10), GlobAnswer::kNone);
}

TEST(GlobRules, published_late_do_not_set_the_newest_back) {
    Globs g;
    g.add("/a*", 11);
    publish_globs(g.table.get(), 10);
    EXPECT_EQ(g.table->newest.load_relaxed(), 11u);
}

TEST(GlobRules, nonsense_in_the_zone_is_never_a_read_outside) {
    Globs g;
    std::mt19937_64 random(3);
    for (int round = 0; round < 200; round++) {
        for (GlobRule& rule : g.table->rule) {
            rule.seq.store_relaxed(random());
            rule.shape.store_relaxed(random());
        }
        (void) g.judge("/some/path", random() % 100);
    }
    EXPECT_TRUE(g.add("/a*", UINT64_MAX));
}

TEST(GlobRules, given_again_count_at_every_moment) {
    Globs g;
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> told{0};
    std::thread writer([&] {
        for (uint64_t seq = 1; seq < 200'000; seq++) {
            g.add("/aa*", seq);
            told.store(seq);
        }
        stop = true;
    });
    uint64_t missed = 0;
    while (!stop) {
        const uint64_t seen = told.load();
        missed += seen != 0 && g.judge("/aaab", seen - 1) != GlobAnswer::kHard;
    }
    writer.join();
    EXPECT_EQ(missed, 0u);
}

TEST(GlobRules, older_than_all_of_a_full_table_are_refused) {
    Globs g;
    for (uint64_t i = 0; i < kGlobRules; i++) {
        ASSERT_TRUE(g.add("/p" + std::to_string(i) + "*", 100 + i));
    }
    EXPECT_FALSE(g.add("/late*", 99));
    EXPECT_TRUE(g.raised.hosts.empty());
    EXPECT_TRUE(g.add("/p3*", 99));
    EXPECT_EQ(g.judge("/p3", 102), GlobAnswer::kHard);
}

// Replaced by another pattern, a rule's objects are purged by its host: what a reader does not find here it finds there.
TEST(GlobRules, overwritten_while_they_are_read_purge_too_much_never_too_little) {
    auto table = std::make_unique<GlobTable>();
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> told{0};
    std::atomic<uint64_t> host_purged{0};
    std::thread writer([&] {
        for (uint64_t seq = 1; seq < 20'000; seq++) {
            const std::string pattern = "/aaaa*" + std::string(seq % (kGlobRules + 1), '*');
            const RaiseFn raise = [](Bytes, bool, void* at) {
                auto* purged = static_cast<std::atomic<uint64_t>*>(at);
                purged->store(purged->load() + 1);  // the rules go in the order of their numbers
            };
            ASSERT_TRUE(add_glob(table.get(), {"h", pattern, false}, seq, raise, &host_purged));
            publish_globs(table.get(), seq);
            told.store(seq);
        }
        stop = true;
    });
    uint64_t missed = 0;
    while (!stop) {
        const uint64_t seen = told.load();
        if (seen != 0 && judge_globs(*table, {"h", "/aaaab", {}}, seen - 1) != GlobAnswer::kHard) {
            missed += host_purged.load() < seen;
        }
    }
    writer.join();
    EXPECT_EQ(missed, 0u);
}

TEST(GlobTable, copied_to_a_new_zone_purges_what_it_did) {
    Globs old;
    Globs next;
    ASSERT_TRUE(old.add("/a*", 5));
    ASSERT_TRUE(old.add("/b*", 9, true));
    copy_globs(*old.table, next.table.get(), 7);
    EXPECT_EQ(next.judge("/a1", 4), GlobAnswer::kHard);
    EXPECT_EQ(next.judge("/a1", 5), GlobAnswer::kNone);
    EXPECT_EQ(next.judge("/b1", 6), GlobAnswer::kSoft);
    EXPECT_EQ(next.judge("/b1", 7), GlobAnswer::kNone);  // counts as of the limit: what is younger comes by itself
    EXPECT_EQ(next.table->newest.load_relaxed(), 7u);
}

TEST(GlobTable, tells_which_rules_are_younger) {
    Globs globs;
    ASSERT_TRUE(globs.add("/a*", 5, false, "early"));
    ASSERT_TRUE(globs.add("/b*", 8, false, "late"));
    publish_globs(globs.table.get(), 8);
    Raised younger;
    EXPECT_EQ(each_younger_glob(*globs.table, 5, Raised::note, &younger), 8u);
    EXPECT_EQ(younger.hosts, std::vector<std::string>{"late"});
    ASSERT_TRUE(globs.add("/a*", 9, false, "early"));  // again makes it younger
    each_younger_glob(*globs.table, 8, Raised::note, &younger);
    EXPECT_EQ(younger.hosts, (std::vector<std::string>{"late", "early"}));
}

// ---- of tags -----------------------------------------------------------------------------------------------------

std::string packed(const std::vector<uint64_t>& selectors, size_t lead) {
    std::string out(lead, '\0');
    for (const uint64_t s : selectors) {
        out.append(reinterpret_cast<const char*>(&s), sizeof(s));
    }
    return out;
}

GlobAnswer judged(const GlobTable& table, const std::vector<uint64_t>& carried, uint64_t birth = 1) {
    return judge_globs(table, {"h", "/a", {}, carried.data(), static_cast<uint32_t>(carried.size())}, birth);
}

TEST(TagRule, takes_what_carries_all_of_some_tags_and_none_of_others) {
    Globs globs;
    const std::string all = packed({11, 12}, 1);
    const std::string none = packed({13}, 0);
    ASSERT_TRUE(add_glob(globs.table.get(), {all, none, false}, 5, Raised::note, &globs.raised));
    publish_globs(globs.table.get(), 5);
    EXPECT_EQ(judged(*globs.table, {10, 12, 11}), GlobAnswer::kHard);
    EXPECT_EQ(judged(*globs.table, {11, 12, 13}), GlobAnswer::kNone);
    EXPECT_EQ(judged(*globs.table, {11}), GlobAnswer::kNone);
    EXPECT_EQ(judged(*globs.table, {}), GlobAnswer::kNone);
    EXPECT_EQ(judged(*globs.table, {11, 12}, 5), GlobAnswer::kNone);
}

TEST(TagRule, that_has_to_go_raises_the_first_of_its_tags) {
    Globs globs;
    const std::string all = packed({11, 12}, 1);
    uint64_t seq = 1;
    ASSERT_TRUE(add_glob(globs.table.get(), {all, {}, true}, seq++, Raised::note, &globs.raised));
    for (uint32_t i = 0; i < kGlobRules; i++) {
        ASSERT_TRUE(
            add_glob(globs.table.get(), {"h", "/*" + std::to_string(i), false}, seq++, Raised::note, &globs.raised));
    }
    ASSERT_EQ(globs.raised.hosts.size(), 1u);
    EXPECT_EQ(raised_selector(globs.raised.hosts[0], nullptr), 11u);
}

}  // namespace
}  // namespace slab_cache::cache
