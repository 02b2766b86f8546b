// Percent-encoding and query arguments.
#include "http/escape.h"

#include <gtest/gtest.h>

#include <string>

namespace slab_cache::http {
namespace {

std::string encoded(Bytes from) {
    std::string out(3 * from.size(), '\0');
    out.resize(escape(from, out.data()));
    return out;
}

std::string decoded(Bytes from) {
    std::string out(from.size(), '\0');
    out.resize(unescape(from, out.data()));
    return out;
}

TEST(Escape, encodes_what_no_client_sends_bare) {
    EXPECT_EQ(encoded("/a b\xc3\xa4\x7f"), "/a%20b%C3%A4%7F");
    EXPECT_EQ(encoded(Bytes("\0", 1)), "%00");
}

TEST(Escape, leaves_alone_what_is_encoded) { EXPECT_EQ(encoded("/%41%zz?a=b&c"), "/%41%zz?a=b&c"); }

TEST(Unescape, decodes_in_either_case) { EXPECT_EQ(decoded("%2F%2f%C3%a4+"), "//\xc3\xa4+"); }

TEST(Unescape, reads_what_is_no_escape_as_nginx_does) {
    EXPECT_EQ(decoded("a%zb"), "azb");
    EXPECT_EQ(decoded("a%4zb"), "ab");
    EXPECT_EQ(decoded("%%41"), "%41");
    EXPECT_EQ(decoded("a%"), "a");
    EXPECT_EQ(decoded("a%4"), "a");
}

TEST(Unescape, decodes_once) { EXPECT_EQ(decoded("%2541"), "%41"); }

TEST(FindArgument, takes_the_first_of_that_name_in_any_case) {
    Bytes value;
    ASSERT_TRUE(find_argument("a=1&URL=2&url=3", "url", &value));
    EXPECT_EQ(value, "2");
    ASSERT_TRUE(find_argument("url=", "url", &value));
    EXPECT_EQ(value, "");
    ASSERT_TRUE(find_argument("url=a=b", "url", &value));
    EXPECT_EQ(value, "a=b");
}

TEST(FindArgument, does_not_find_parts_of_names_or_names_alone) {
    Bytes value;
    for (const Bytes query : {Bytes("xurl=1"), Bytes("urlx=1"), Bytes("url"), Bytes("a=url=1"), Bytes("")}) {
        EXPECT_FALSE(find_argument(query, "url", &value)) << query;
    }
}

TEST(Decimal, is_read_within_its_bounds) {
    uint64_t n = 7;
    EXPECT_TRUE(read_decimal("0200", 200, 599, &n));
    EXPECT_EQ(n, 200u);
    EXPECT_TRUE(read_decimal("18446744073709551609", 0, UINT64_MAX, &n));
    EXPECT_EQ(n, UINT64_MAX - 6);
}

TEST(Decimal, of_another_form_or_out_of_bounds_is_none) {
    uint64_t n = 7;
    for (const Bytes text : {Bytes(""), Bytes("-1"), Bytes("+1"), Bytes("1 "), Bytes("0x1"), Bytes("600"), Bytes("199"),
                             Bytes("18446744073709551616"), Bytes("99999999999999999999999999999999")}) {
        EXPECT_FALSE(read_decimal(text, 200, 599, &n)) << text;
    }
    EXPECT_EQ(n, 7u);
}

std::string without_dots(std::string path) {
    path.resize(remove_dot_segments(path.data(), path.size()));
    return path;
}

TEST(DotSegments, go_as_servers_take_them) {  // RFC 3986 §5.2.4
    const char* cases[][2] = {{"/", "/"},
                              {"/a", "/a"},
                              {"/a/", "/a/"},
                              {"/x/../a", "/a"},
                              {"/a/./b", "/a/b"},
                              {"/a/b/..", "/a/"},
                              {"/a/b/.", "/a/b/"},
                              {"/../a", "/a"},
                              {"/../..", "/"},
                              {"//a///b//", "/a/b/"},
                              {"/.a/..b/c..", "/.a/..b/c.."},
                              {"/a/b/../../c/", "/c/"},
                              {"/a/..//b", "/b"}};
    for (const auto& c : cases) {
        EXPECT_EQ(without_dots(c[0]), c[1]) << c[0];
        EXPECT_TRUE(may_have_dot_segments(c[0]) || std::string(c[0]) == c[1]) << c[0];
    }
    EXPECT_FALSE(may_have_dot_segments("/a/b.c/d"));
}

TEST(UnknownArgument, is_the_first_that_is_not_known_or_stands_there_twice) {
    EXPECT_EQ(unknown_argument("url=a&tag=b", "url tag"), "");
    EXPECT_EQ(unknown_argument("URL=a&&", "url tag"), "");
    EXPECT_EQ(unknown_argument("url=http://h/?a=1&b=2", "url tag"), "b");
    EXPECT_EQ(unknown_argument("url=a&url=b", "url tag"), "url");
    EXPECT_EQ(unknown_argument("x", ""), "x");
    EXPECT_EQ(unknown_argument("=x", "url"), "=");
    EXPECT_EQ(unknown_argument("", ""), "");
    EXPECT_EQ(unknown_argument("ur=a", "url"), "ur");
}

TEST(UnknownArgument, may_be_several_of_a_name_with_a_star) {
    EXPECT_EQ(unknown_argument("h=a&url=b&h=c&H=d", "url h*"), "");
    EXPECT_EQ(unknown_argument("h=a&url=b&url=c", "url h*"), "url");
    EXPECT_EQ(unknown_argument("h*=a", "url h*"), "h*");
}

TEST(NextArgument, goes_through_all_of_a_name) {
    Bytes query = "h=a&url=b&H=c%26&x&h=";
    Bytes value;
    std::string seen;
    while (next_argument(&query, "h", &value)) {
        seen += std::string(value) + ".";
    }
    EXPECT_EQ(seen, "a.c%26..");
    EXPECT_EQ(query, "");
}

}  // namespace
}  // namespace slab_cache::http
