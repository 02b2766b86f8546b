// Keys that cannot be confused, and selectors that name what a purge names.
#include "cache/key.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace slab_cache::cache {
namespace {

const std::string kSecretText = [] {
    std::string s;
    for (int i = 0; i < 192; i++) {
        s += static_cast<char>(i * 37 + 11);
    }
    return s;
}();
const auto* kSecret = reinterpret_cast<const uint8_t*>(kSecretText.data());

std::string key_of(const std::vector<std::string>& fields, size_t capacity = 70000) {
    std::string buffer(capacity, '\0');
    KeyBuilder b(buffer.data(), buffer.size());
    for (const std::string& f : fields) {
        b.add(f);
    }
    return b.overflowed() ? "overflow" : std::string(b.key());
}

std::vector<uint64_t> selectors(const Url& url, uint32_t capacity = 128) {
    std::vector<uint64_t> out(capacity);
    out.resize(url_selectors(url, kSecret, out.data(), capacity));
    return out;
}

TEST(Key, of_other_fields_is_another_key_wherever_they_are_cut) {
    const std::vector<std::vector<std::string>> lists = {
        {"ab", "c"}, {"a", "bc"}, {"abc"}, {"abc", ""}, {"", "abc"}, {"a", "b", "c"}, {std::string("a\0\1b", 4)}};
    std::set<std::string> keys;
    for (const auto& l : lists) {
        keys.insert(key_of(l));
    }
    EXPECT_EQ(keys.size(), lists.size());
}

TEST(Key, that_does_not_fit_is_refused_and_writes_nothing_beyond) {
    char buffer[8] = {0, 0, 0, 0, 0, 0, 0, 'z'};
    KeyBuilder b(buffer, 7);
    b.add("abcd");
    EXPECT_FALSE(b.overflowed());
    b.add("");
    EXPECT_TRUE(b.overflowed());
    EXPECT_EQ(buffer[7], 'z');
    b.add("");
    EXPECT_EQ(b.key().size(), 6u);
}

TEST(Key, with_a_field_longer_than_its_length_can_say_is_refused) {
    EXPECT_NE(key_of({std::string(65535, 'x')}), "overflow");
    EXPECT_EQ(key_of({std::string(65536, 'x')}), "overflow");
}

TEST(PrintableKey, has_bars_between_fields_and_no_control_characters) {
    char out[64];
    const std::string key = key_of({"http", "host", "/a\nb"});
    EXPECT_EQ(std::string(out, printable_key(key, out, sizeof(out))), "http|host|/a?b");
    EXPECT_EQ(printable_key(key, out, 6), 6u);
    EXPECT_EQ(std::string(out, printable_key(std::string("\0\xFF" "ab", 4), out, sizeof(out))), "ab");
}

TEST(KeyDigest, depends_on_the_key_and_on_the_secret) {
    std::string other = kSecretText;
    other[100] ^= 1;
    const auto* secret = reinterpret_cast<const uint8_t*>(other.data());
    const std::string key = key_of({"http", "example.com", "/a/longer/path/so/that/all/of/the/secret/counts",
                                    std::string(400, 'x')});
    EXPECT_TRUE(digest(key, kSecret) == digest(key, kSecret));
    EXPECT_FALSE(digest(key, kSecret) == digest(key + "x", kSecret));
    EXPECT_FALSE(digest(key, kSecret) == digest(key, secret));
}

TEST(UrlSelectors, are_the_url_its_host_and_each_directory) {
    const std::vector<uint64_t> s = selectors({"h", "/a/b/c", ""});
    ASSERT_EQ(s.size(), 4u);
    EXPECT_EQ(s[0], url_selector({"h", "/a/b/c", ""}, kSecret));
    EXPECT_EQ(s[1], host_selector("h", kSecret));
    EXPECT_EQ(s[2], prefix_selector("h", "/a/", kSecret));
    EXPECT_EQ(s[3], prefix_selector("h", "/a/b/", kSecret));
}

TEST(UrlSelectors, that_do_not_fit_are_none) {
    EXPECT_EQ(selectors({"h", "/a/b/c", ""}, 4).size(), 4u);
    EXPECT_EQ(selectors({"h", "/a/b/c", ""}, 3).size(), 0u);
    EXPECT_EQ(selectors({"h", "/", ""}, 1).size(), 0u);
}

TEST(UrlSelectors, do_not_depend_on_the_order_of_arguments) {
    EXPECT_EQ(url_selector({"h", "/", "a=1&b=2"}, kSecret), url_selector({"h", "/", "b=2&&a=1&"}, kSecret));
    EXPECT_NE(url_selector({"h", "/", "a=1&b=2"}, kSecret), url_selector({"h", "/", "a=1"}, kSecret));
    EXPECT_NE(url_selector({"h", "/", "a=1&a=1"}, kSecret), url_selector({"h", "/", ""}, kSecret));
}

TEST(Selectors, of_different_kinds_differ_for_one_text) {
    const std::set<uint64_t> all = {host_selector("x", kSecret), tag_selector("x", kSecret),
                                    group_selector("", "x", kSecret), prefix_selector("", "x/", kSecret),
                                    url_selector({"x", "", ""}, kSecret)};
    EXPECT_EQ(all.size(), 5u);
}

TEST(Selectors, of_a_prefix_and_a_group_belong_to_their_host) {
    EXPECT_NE(prefix_selector("a", "/x/", kSecret), prefix_selector("b", "/x/", kSecret));
    EXPECT_NE(group_selector("a", "g", kSecret), group_selector("b", "g", kSecret));
    EXPECT_EQ(prefix_selector("a", "/", kSecret), host_selector("a", kSecret));
}

}  // namespace
}  // namespace slab_cache::cache
