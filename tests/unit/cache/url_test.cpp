// URLs that somebody names.
#include "cache/url.h"

#include <gtest/gtest.h>

#include <string>

#include "support/memory.h"

namespace slab_cache::cache {
namespace {

constexpr uint8_t kSecret[kSecretBytes] = {1, 2, 3};

struct Parsed : Target {
    bool ok;
    test::Memory memory;

    explicit Parsed(Bytes text, Asker asker = {false, "Asker:8080"}) {
        ok = parse_target(memory.arena(), asker, text, this);
    }
    std::string all() const {
        return ok ? std::string(scheme) + " " + std::string(authority) + " " + std::string(uri) : std::string("none");
    }
};

TEST(TargetUrl, is_absolute) {
    EXPECT_EQ(Parsed("https://Example.COM/a?b=C").all(), "https example.com /a?b=C");
    EXPECT_EQ(Parsed("HTTP://h").all(), "http h /");
}

TEST(TargetUrl, without_a_scheme_is_http) { EXPECT_EQ(Parsed("h:81/a").all(), "http h:81 /a"); }

TEST(TargetUrl, that_is_a_path_is_on_the_host_that_is_asked) {
    EXPECT_EQ(Parsed("/a").all(), "http asker:8080 /a");
    EXPECT_EQ(Parsed("/a", {true, "h"}).all(), "https h /a");
}

TEST(TargetUrl, that_is_a_path_is_none_where_the_request_cannot_say_which_host) {
    EXPECT_FALSE(Parsed("/a", {false, ""}).ok);
    EXPECT_EQ(Parsed("h/a", {false, ""}).all(), "http h /a");
}

TEST(TargetUrl, drops_the_schemes_own_port_and_the_fragment) {
    EXPECT_EQ(Parsed("http://h:80/a#b").all(), "http h /a");
    EXPECT_EQ(Parsed("https://h:443/").all(), "https h /");
    EXPECT_EQ(Parsed("http://h:443/").all(), "http h:443 /");
    EXPECT_EQ(Parsed("http://[::1]:80/").all(), "http [::1] /");
}

TEST(TargetUrl, has_a_host_without_port_for_its_selectors) {
    EXPECT_EQ(Parsed("http://h:81/").url.host, "h");
    EXPECT_EQ(Parsed("http://[::1]:81/").url.host, "[::1]");
}

TEST(TargetUrl, is_encoded_as_clients_send_it_and_decoded_for_selectors) {
    const Parsed p("http://h/\xc3\xa4 %2F?q=\x01");
    EXPECT_EQ(p.uri, "/%C3%A4%20%2F?q=%01");
    EXPECT_EQ(p.url.path, "/\xc3\xa4 /");
    EXPECT_EQ(p.url.args, "q=%01");
}

TEST(TargetUrl, of_another_form_is_none) {
    for (const Bytes text : {Bytes(""), Bytes("#"), Bytes("ftp://h/"), Bytes("http:///a"), Bytes("http://h?a"),
                             Bytes("//h/a"), Bytes("http://h:x/"), Bytes("http://h:123456/"), Bytes("http://h:/"),
                             Bytes("http://u@h/"), Bytes("http://h /"), Bytes("http://h\x80/")}) {
        EXPECT_FALSE(Parsed(text).ok) << text;
    }
}

TEST(TargetUrl, above_16k_is_none) {
    EXPECT_TRUE(Parsed("/" + std::string(kMaxUrlBytes - 1, 'a')).ok);
    EXPECT_FALSE(Parsed("/" + std::string(kMaxUrlBytes, 'a')).ok);
}

TEST(TargetUrl, is_none_where_memory_runs_out) {
    for (size_t blocks = 0; blocks < 3; blocks++) {
        test::Memory memory(blocks);
        Target target;
        EXPECT_FALSE(parse_target(memory.arena(), {false, "h"}, "http://h/%41", &target)) << blocks;
    }
}

TEST(TargetKey, is_that_of_the_request_itself) {
    test::Memory memory;
    char buffer[64];
    KeyBuilder key(buffer, sizeof(buffer));
    key.add("https");
    key.add("h:81");
    key.add("/a?b");
    EXPECT_EQ(default_key_of(memory.arena(), Parsed("https://H:81/a?b")), key.key());
}

TEST(TargetKey, is_empty_where_it_would_be_too_long) {
    test::Memory memory;
    EXPECT_EQ(default_key_of(memory.arena(), Parsed("/" + std::string(kMaxUrlBytes - 1, ' '))), "");
}

TEST(SplitUrl, decodes_the_path_and_not_the_arguments) {
    test::Memory memory;
    Url url;
    ASSERT_TRUE(split_url(memory.arena(), "h", "/%61?%61", &url));
    EXPECT_EQ(url.path, "/a");
    EXPECT_EQ(url.args, "%61");
    EXPECT_EQ(url_selector(url, kSecret), url_selector({"h", "/a", "%61"}, kSecret));
}

}  // namespace
}  // namespace slab_cache::cache
