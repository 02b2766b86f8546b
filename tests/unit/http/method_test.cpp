#include "http/method.h"

#include <gtest/gtest.h>

namespace slab_cache::http {
namespace {

TEST(RequestMethod, names_are_case_sensitive) {
    EXPECT_EQ(parse_method("GET"), Method::kGet);
    EXPECT_EQ(parse_method("get"), Method::kUnknown);
    EXPECT_EQ(parse_method(""), Method::kUnknown);
}

TEST(RequestMethod, safe_ones_change_nothing) {
    for (const char* name : {"GET", "HEAD", "QUERY", "OPTIONS", "TRACE", "PROPFIND"}) {
        EXPECT_TRUE(is_safe(parse_method(name))) << name;
    }
}

TEST(RequestMethod, an_unknown_one_is_unsafe) {
    for (const char* name : {"POST", "PUT", "DELETE", "PATCH", "FOO", "PURGE"}) {
        EXPECT_TRUE(is_unsafe(parse_method(name))) << name;
    }
}

TEST(RequestMethod, only_four_can_be_cached) {
    EXPECT_EQ(
        method_bit(Method::kGet) | method_bit(Method::kHead) | method_bit(Method::kQuery) | method_bit(Method::kPost),
        0xfu);
    EXPECT_EQ(method_bit(Method::kPut), 0u);
    EXPECT_EQ(method_bit(Method::kUnknown), 0u);
}

}  // namespace
}  // namespace slab_cache::http
