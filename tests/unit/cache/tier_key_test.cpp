// Keys of the second tier. The hashes are those that Python's hashlib, and the servers those that pymemcache 3.5.2 finds.
#include "cache/tier_key.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cache/key.h"
#include "support/memory.h"

namespace slab_cache::cache {
namespace {

struct Part {
    std::string bytes;
    uint16_t marks = 0;
};

std::string key_of(const std::vector<Part>& parts) {
    char buffer[4096];
    KeyBuilder builder(buffer, sizeof(buffer));
    for (const Part& p : parts) {
        builder.add(p.bytes, p.marks);
    }
    return std::string(builder.key());
}

std::string text_of(const std::string& key, bool is_default) {
    test::Memory memory;
    Bytes text;
    return tier_text(memory.arena(), key, is_default, &text) ? std::string(text) : "none";
}

std::string default_text(const std::string& scheme, const std::string& authority, const std::string& uri) {
    return text_of(key_of({{scheme}, {authority}, {uri}}), true);
}

std::string object(Bytes prefix, Bytes text) {
    StoreKey key;
    return object_store_key(prefix, text, &key) ? std::string(key.view()) : "none";
}

std::string variant(Bytes spec, const std::vector<http::Field>& request) {
    test::Memory memory;
    StoreKey key;
    const bool ok = variant_store_key(memory.arena(), "slab:", "https://example.org/", spec,
                                      {request.data(), request.size()}, http::VaryPolicy{}, &key);
    return ok ? std::string(key.view()) : "none";
}

TEST(TierText, of_the_default_key_is_the_url) {
    EXPECT_EQ(default_text("https", "example.org", "/report/7"), "https://example.org/report/7");
    EXPECT_EQ(default_text("http", "[::1]:8080", "/?a=b|c%20d#e"), "http://[::1]:8080/?a=b|c%20d#e");
}

TEST(TierText, of_another_key_names_its_fields) {
    EXPECT_EQ(text_of(key_of({{"report"}, {"7"}}), false), "key:report|7");
    EXPECT_EQ(text_of(key_of({{"https"}, {"example.org"}, {"/report/7"}}), false), "key:https|example.org|/report/7");
}

TEST(TierText, of_a_default_key_that_goes_on_is_no_url) {
    EXPECT_EQ(text_of(key_of({{"http"}, {"h"}, {"/"}, {"bytes=0-9"}}), true), "key:http|h|/|bytes=0-9");
}

TEST(TierText, that_would_be_another_urls_is_written_otherwise) {
    EXPECT_EQ(default_text("http", "h/Other", "/path"), "key:http|h/Other|/path");
    EXPECT_EQ(default_text("http", "h", "path"), "key:http|h|path");
    EXPECT_EQ(default_text("ftp", "h", "/"), "key:ftp|h|/");
    EXPECT_EQ(default_text("http", "", "/"), "key:http||/");
}

TEST(TierText, has_no_byte_that_a_server_or_a_field_would_not_take) {
    EXPECT_EQ(default_text("http", "h", "/\xC3\xA4 b\r\n\x7F"), "key:http|h|/%C3%A4%20b%0D%0A%7F");
    EXPECT_EQ(text_of(key_of({{"a|b"}, {"50%"}, {"#x"}}), false), "key:a%7Cb|50%25|%23x");
}

TEST(TierText, of_a_hidden_part_is_its_digest) {
    EXPECT_EQ(
        text_of(key_of({{"/"}, {"user=", 0}, {"secret", static_cast<uint16_t>(kPartHidden | kPartGoesOn)}}), false),
        "key:/|user=#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");
}

TEST(TierText, of_nonsense_is_none) {
    const std::string key = key_of({{"http"}, {"h"}, {"/"}});
    for (size_t n = 1; n < key.size(); n++) {
        const bool is_cut_between = n == 6 || n == 9;
        EXPECT_EQ(text_of(key.substr(0, n), true) == "none", !is_cut_between) << n;
    }
    EXPECT_EQ(text_of(key + "\xFF\xFE\x01", true), "none") << "a slot";
    test::Memory none(0);
    Bytes text;
    EXPECT_FALSE(tier_text(none.arena(), key, true, &text));
}

TEST(StoreKeyOf, an_object_is_its_text_behind_the_prefix) {
    EXPECT_EQ(object("slab:", "https://example.org/report/7"), "slab:https://example.org/report/7");
    EXPECT_EQ(object("", "key:a"), "key:a");
}

TEST(StoreKeyOf, a_long_text_is_its_digest) {
    const std::string fits = "https://example.org/" + std::string(175, 'a');
    EXPECT_EQ(object("slab:", fits), "slab:" + fits);
    EXPECT_EQ(object("slab::", fits).size(), 6u + 64u);
    EXPECT_EQ(object("slab:", "https://example.org/" + std::string(200, 'a')),
              "slab:0adc49769b4316d421f2212b530c944478fdac3160c49e22c6c6428aa63fed2a");
}

TEST(StoreKeyOf, a_variant_is_the_digest_of_what_it_answers) {
    EXPECT_EQ(variant("accept-encoding,accept-language", {{"Accept-Encoding", "gzip"}, {"Accept-Language", "DE"}}),
              "slab:vary:6430d1de9baafa33adb8c17f5be2a1fb94d5afda013b8783b1ebc3df749aec03");
    EXPECT_NE(variant("cookie", {}), variant("cookie", {{"Cookie", ""}}));
    test::Memory none(0);
    StoreKey key;
    EXPECT_FALSE(variant_store_key(none.arena(), "slab:", "http://h/", "cookie", {}, http::VaryPolicy{}, &key));
}

TEST(StoreKeyOf, a_lease_stands_beside_the_object_s) {
    StoreKey key;
    ASSERT_TRUE(object_store_key("slab:", "http://h/", &key));
    EXPECT_EQ(lease_store_key("slab:", key).view(), "slab:lease:http://h/");
    const std::string longest(kMaxPlainStoreKey - 5, 'a');
    ASSERT_TRUE(object_store_key("slab:", longest, &key));
    EXPECT_EQ(lease_store_key("slab:", key).view(), "slab:lease:" + longest);
}

TEST(TierPrefix, is_printable_and_short) {
    EXPECT_TRUE(is_tier_prefix(""));
    EXPECT_TRUE(is_tier_prefix("{slab}:"));
    EXPECT_TRUE(is_tier_prefix(std::string(kMaxTierPrefix, 'x')));
    EXPECT_FALSE(is_tier_prefix(std::string(kMaxTierPrefix + 1, 'x')));
    EXPECT_FALSE(is_tier_prefix("a b"));
    EXPECT_FALSE(is_tier_prefix("a\n"));
    EXPECT_FALSE(is_tier_prefix("\xC3\xA4"));
}

TEST(TierServer, is_the_one_that_pymemcache_s_hash_client_asks) {
    const Bytes server[] = {"10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11211"};
    EXPECT_EQ(tier_server(server, 3, "slab:https://example.org/report/7"), 0u);
    EXPECT_EQ(tier_server(server, 3, "slab:https://example.org/"), 1u);
    EXPECT_EQ(tier_server(server, 3, "slab:https://example.org/a"), 0u);
    EXPECT_EQ(tier_server(server, 3, "slab:https://example.org/ab"), 1u);
    EXPECT_EQ(tier_server(server, 3, "slab:https://example.org/abc"), 1u);
    EXPECT_EQ(tier_server(server, 3, "slab:key:report|7"), 0u);
    EXPECT_EQ(tier_server(server, 1, "anything"), 0u);
}

TEST(TierServer, is_for_few_keys_another_where_one_more_is_there) {
    const Bytes server[] = {"a:1", "b:1", "c:1", "d:1"};
    uint32_t moved = 0;
    for (int i = 0; i < 1000; i++) {
        const std::string key = "slab:http://h/" + std::to_string(i);
        const uint32_t before = tier_server(server, 3, key);
        const uint32_t after = tier_server(server, 4, key);
        EXPECT_TRUE(after == before || after == 3u) << key;
        moved += after != before;
    }
    EXPECT_GT(moved, 180u);
    EXPECT_LT(moved, 320u);
}

}  // namespace
}  // namespace slab_cache::cache
