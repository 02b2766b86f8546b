// What a push says about its response.
#include "cache/push_request.h"

#include <gtest/gtest.h>

namespace slab_cache::http {
namespace {

TEST(PushedField, some_are_taken_as_they_are) {
    EXPECT_EQ(pushed_name("content-type"), "content-type");
    EXPECT_EQ(pushed_name("ETag"), "ETag");
}

TEST(PushedField, any_other_is_taken_behind_its_prefix) {
    EXPECT_EQ(pushed_name("X-Response-X-Foo"), "X-Foo");
    EXPECT_EQ(pushed_name("x-response-a"), "a");
}

TEST(PushedField, the_requests_own_are_not) {
    for (const Bytes name : {Bytes("Host"), Bytes("Authorization"), Bytes("Content-Length"), Bytes("X-Response-"),
                             Bytes("X-Response"), Bytes("")}) {
        EXPECT_EQ(pushed_name(name), "") << name;
    }
}

TEST(PushedStatus, is_a_final_status) {
    uint16_t status = 0;
    EXPECT_TRUE(read_pushed_status("404", &status));
    EXPECT_EQ(status, 404);
    for (const Bytes text : {Bytes("100"), Bytes("600"), Bytes("65736"), Bytes("2e2"), Bytes("")}) {
        EXPECT_FALSE(read_pushed_status(text, &status)) << text;
    }
}

TEST(PushedTtl, is_positive_and_bounded) {
    int64_t ttl = 0;
    EXPECT_TRUE(read_pushed_ttl("60", &ttl));
    EXPECT_EQ(ttl, 60);
    EXPECT_FALSE(read_pushed_ttl("0", &ttl));
    EXPECT_FALSE(read_pushed_ttl("315360001", &ttl));
}

TEST(PushFence, is_a_number) {
    uint64_t seq = 0;
    EXPECT_TRUE(read_fence("4398046511104", &seq));
    EXPECT_EQ(seq, uint64_t{1} << 42);
    for (const Bytes text : {Bytes(""), Bytes("-1"), Bytes("1.5"), Bytes("18446744073709551617")}) {
        EXPECT_FALSE(read_fence(text, &seq)) << text;
    }
    EXPECT_EQ(seq, uint64_t{1} << 42);
}

}  // namespace
}  // namespace slab_cache::http
