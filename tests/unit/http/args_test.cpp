#include "http/args.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace slab_cache::http {
namespace {

using Writer = size_t (*)(Bytes, const ArgsPolicy&, char*, size_t) noexcept;

std::string run(Writer write, const std::string& args, const ArgsPolicy& policy) {
    std::string out(args.size(), '\0');
    out.resize(write(args, policy, out.data(), out.size()));
    return out;
}

std::string key(const std::string& args, const ArgsPolicy& policy) { return run(canonical_args, args, policy); }
std::string fill(const std::string& args, const ArgsPolicy& policy) { return run(fill_args, args, policy); }

constexpr Bytes kTracking[] = {"utm_*", "fbclid"};
constexpr Bytes kWanted[] = {"id", "page*"};

ArgsPolicy dropping() {
    ArgsPolicy policy;
    policy.drop = kTracking;
    policy.drop_count = 2;
    return policy;
}

ArgsPolicy sorting() {
    ArgsPolicy policy;
    policy.sort = true;
    return policy;
}

TEST(KeyArgs, all_leaves_them_as_they_came) {
    EXPECT_EQ(key("b=1&a&&a=2&=", {}), "b=1&a&&a=2&=");
    EXPECT_EQ(key("", {}), "");
}

TEST(KeyArgs, none_drops_them_from_key_and_fill) {
    ArgsPolicy policy;
    policy.none = true;
    EXPECT_EQ(key("a=1", policy), "");
    EXPECT_EQ(fill("a=1", policy), "");
}

TEST(UnkeyedArgs, are_seen_in_a_value_as_a_whole_by_name_and_by_value) {
    constexpr Bytes kArgs = "b=2&utm_source=evil&a=1";
    for (Bytes value : {"b=2&utm_source=evil&a=1", "/a?b=2&utm_source=evil&a=1", "utm_source=evil", "is evil"}) {
        EXPECT_TRUE(shows_unkeyed(value, kArgs, dropping())) << value;
    }
    for (Bytes value : {"", "/a?b=2&a=1", "a=1", "utm_source", "evi"}) {
        EXPECT_FALSE(shows_unkeyed(value, kArgs, dropping())) << value;
    }
}

TEST(UnkeyedArgs, that_are_short_are_seen_alone) {
    EXPECT_TRUE(shows_unkeyed("1", "utm_x=1", dropping()));
    EXPECT_FALSE(shows_unkeyed("2021", "utm_x=1", dropping()));
    EXPECT_FALSE(shows_unkeyed("", "utm_x=", dropping()));
    EXPECT_FALSE(shows_unkeyed("x", "", dropping()));
}

TEST(UnkeyedArgs, of_a_sorted_key_are_those_in_another_order) {
    EXPECT_TRUE(shows_unkeyed("?b=2&a=1", "b=2&a=1", sorting()));
    EXPECT_FALSE(shows_unkeyed("b=2", "b=2&a=1", sorting()));
}

TEST(KeyArgs, dropped_names_leave_the_key_and_the_fill) {
    EXPECT_EQ(key("utm_source=x&b=1&fbclid&a=2&utm_", dropping()), "b=1&a=2");
    EXPECT_EQ(fill("utm_source=x&b=1&fbclid&a=2&utm_", dropping()), "b=1&a=2");
}

TEST(KeyArgs, only_keeps_what_it_names) {
    ArgsPolicy policy;
    policy.only = kWanted;
    policy.only_count = 2;
    EXPECT_EQ(key("x=1&id=2&pages=3&Id=4", policy), "id=2&pages=3");
}

TEST(KeyArgs, drop_takes_from_what_only_keeps) {
    ArgsPolicy policy = dropping();
    const Bytes all[] = {"*"};
    policy.only = all;
    policy.only_count = 1;
    EXPECT_EQ(key("a=1&utm_x=2", policy), "a=1");
}

TEST(KeyArgs, sorting_goes_by_name_and_keeps_the_order_of_equal_names) {
    EXPECT_EQ(key("b=2&a=2&b=1&a=1&aa", sorting()), "a=2&a=1&aa&b=2&b=1");
}

TEST(KeyArgs, the_fill_keeps_the_original_order) { EXPECT_EQ(fill("b=2&a=2", sorting()), "b=2&a=2"); }

TEST(KeyArgs, empty_arguments_stay_keyed) { EXPECT_NE(key("a&&b", sorting()), key("a&b", sorting())); }

TEST(KeyArgs, too_many_to_sort_keep_their_order) {
    std::string args = "z";
    for (uint32_t i = 0; i < kMaxSortedArgs; i++) {
        args += "&a";
    }
    EXPECT_EQ(key(args, sorting()), args);
}

TEST(KeyArgs, sorting_agrees_with_the_standard_library) {
    std::mt19937 random(7);
    for (int round = 0; round < 300; round++) {
        std::vector<std::string> args(1 + random() % 40);
        std::string text;
        for (std::string& arg : args) {
            arg = std::string(1, static_cast<char>('a' + random() % 5)) + "=" + std::to_string(random() % 100);
            text += (text.empty() ? "" : "&") + arg;
        }
        std::stable_sort(args.begin(), args.end(),
                         [](const std::string& a, const std::string& b) { return a[0] < b[0]; });
        std::string expected;
        for (const std::string& arg : args) {
            expected += (expected.empty() ? "" : "&") + arg;
        }
        ASSERT_EQ(key(text, sorting()), expected);
    }
}

TEST(KeyArgs, writes_nothing_beyond_the_buffer) {
    char out[4] = {'#', '#', '#', '#'};
    EXPECT_EQ(canonical_args("b&a", sorting(), out, 2), 3u);
    EXPECT_EQ(out[2], '#');
}

TEST(Glob, a_star_matches_any_bytes_and_all_else_itself) {
    EXPECT_TRUE(glob_match("*", ""));
    EXPECT_TRUE(glob_match("utm_*", "utm_"));
    EXPECT_TRUE(glob_match("a*b*c", "aXbYbZc"));
    EXPECT_TRUE(glob_match("**", "x"));
    EXPECT_FALSE(glob_match("a*b", "ab1"));
    EXPECT_FALSE(glob_match("", "a"));
    EXPECT_FALSE(glob_match("a?", "ab"));
    EXPECT_FALSE(glob_match("A", "a"));
}

TEST(Glob, agrees_with_a_recursive_reference) {
    struct Reference {
        static bool match(std::string_view p, std::string_view t) {
            if (p.empty()) {
                return t.empty();
            }
            if (p[0] == '*') {
                return match(p.substr(1), t) || (!t.empty() && match(p, t.substr(1)));
            }
            return !t.empty() && p[0] == t[0] && match(p.substr(1), t.substr(1));
        }
    };
    std::mt19937 random(3);
    for (int i = 0; i < 20000; i++) {
        std::string pattern;
        std::string text;
        for (size_t n = random() % 7; n > 0; n--) {
            pattern += "ab*"[random() % 3];
        }
        for (size_t n = random() % 8; n > 0; n--) {
            text += "ab"[random() % 2];
        }
        ASSERT_EQ(glob_match(pattern, text), Reference::match(pattern, text)) << pattern << " " << text;
    }
}

TEST(Glob, many_stars_do_not_blow_up) {
    const std::string text(20000, 'a');
    std::string pattern;
    for (int i = 0; i < 50; i++) {
        pattern += "a*";
    }
    EXPECT_FALSE(glob_match(pattern + "b", text));
}

}  // namespace
}  // namespace slab_cache::http
