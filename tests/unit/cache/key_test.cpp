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
    EXPECT_NE(key_of({std::string(kMaxPartBytes, 'x')}), "overflow");
    EXPECT_EQ(key_of({std::string(kMaxPartBytes + 1, 'x')}), "overflow");
}

TEST(Key, with_a_hidden_part_is_another_than_with_the_same_text) {
    char a[16];
    char b[16];
    KeyBuilder plain(a, sizeof(a));
    plain.add("ab");
    KeyBuilder parts(b, sizeof(b));
    parts.add("a");
    parts.add("b", kPartGoesOn | kPartHidden);
    EXPECT_NE(plain.key(), parts.key());
}

std::string printed(Bytes key, size_t capacity = 256) {
    std::string out(capacity, '\0');
    const size_t n = printable_key(key, kSecret, out.data(), capacity);
    return out.substr(0, n < capacity ? n : capacity);
}

std::string variant(const std::string& spec, const std::string& values) {
    std::string mark(kVariantMarkBytes, '\0');
    put_variant_mark(mark.data(), spec.size());
    return key_of({"h", "/a"}) + mark + spec + values;
}

TEST(PrintableKey, has_bars_between_fields_and_no_control_characters) {
    const std::string key = key_of({"http", "host", "/a\nb"});
    EXPECT_EQ(printed(key), "http|host|/a?b");
    EXPECT_EQ(printable_key(key, kSecret, nullptr, 0), 14u);
    EXPECT_EQ(printed(key, 6), "http|h");
    EXPECT_EQ(printed(std::string("\0\xFF"
                                  "ab",
                                  4)),
              "ab");
}

TEST(PrintableKey, shows_a_keyed_hash_of_what_is_hidden) {
    char buffer[64];
    KeyBuilder b(buffer, sizeof(buffer));
    b.add("/a");
    b.add("verysecret", kPartHidden | kPartGoesOn);
    b.add("", kPartHidden);
    const std::string shown = printed(b.key());
    EXPECT_EQ(shown.size(), 2 + 9 + 1u);
    EXPECT_EQ(shown.substr(0, 3), "/a#");
    EXPECT_EQ(shown.back(), '|');
    EXPECT_EQ(shown, printed(b.key()));
    std::string other = kSecretText;
    other[0] ^= 1;
    char text[64];
    const size_t n = printable_key(b.key(), reinterpret_cast<const uint8_t*>(other.data()), text, sizeof(text));
    EXPECT_NE(std::string(text, n), shown);
}

TEST(ShapeOf, says_what_a_key_hides_and_whether_it_is_a_variants) {
    EXPECT_FALSE(shape_of(key_of({"h", "/a"})).has_hidden);
    EXPECT_FALSE(shape_of(key_of({"h", "/a"})).is_variant);
    char buffer[64];
    KeyBuilder b(buffer, 32);
    b.add("/a");
    b.add("secret", kPartHidden | kPartGoesOn);
    EXPECT_TRUE(shape_of(b.key()).has_hidden);
    EXPECT_TRUE(shape_of(add_slot(buffer, b.key().size(), 2)).has_hidden);
    const std::string absent(4, '\0');
    EXPECT_TRUE(shape_of(variant("cookie", absent)).is_variant);
    EXPECT_FALSE(shape_of(variant("cookie", absent)).has_hidden);
    for (const Bytes nonsense : {Bytes(), Bytes("x"), Bytes("\x3F\xFF"), Bytes("\xFF\xFE")}) {
        EXPECT_FALSE(shape_of(nonsense).is_variant);
    }
}

TEST(PrintableKey, of_a_variant_shows_names_and_no_values) {
    const std::string absent(4, '\0');
    const std::string gzip_br("\2\0\0\0\3", 5);
    const std::string value("\7\0\0\0secret", 10);
    const std::string shown = printed(variant("accept-encoding,cookie,x-kind", gzip_br + value + absent));
    EXPECT_EQ(shown.substr(0, 36), "h|/a|accept-encoding=gzip+br|cookie=");
    EXPECT_EQ(shown.substr(45), "|x-kind");
    EXPECT_EQ(shown.find("secret"), std::string::npos);
}

TEST(PrintableKey, of_a_variant_that_is_nonsense_shows_nothing_of_it) {
    const std::string value("\7\0\0\0secret", 10);
    for (const std::string& key :
         {variant("cookie", value + "x"), variant("cookie", value.substr(0, 9)), variant("co okie", value),
          variant("cookie,x", value), key_of({"h", "/a"}) + "\xFF\xFF" + "cookie" + value}) {
        EXPECT_EQ(printed(key).substr(0, 6), "h|/a|#");
        EXPECT_EQ(printed(key).size(), 14u);
    }
}

TEST(KeyDigest, depends_on_the_key_and_on_the_secret) {
    std::string other = kSecretText;
    other[100] ^= 1;
    const auto* secret = reinterpret_cast<const uint8_t*>(other.data());
    const std::string key =
        key_of({"http", "example.com", "/a/longer/path/so/that/all/of/the/secret/counts", std::string(400, 'x')});
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
