#include "http/interim.h"

#include <gtest/gtest.h>

#include "builder.h"

namespace slab_cache::http {
namespace {

TEST(InterimStatus, another_response_follows_every_1xx_but_101) {
    EXPECT_TRUE(is_interim_status(100));
    EXPECT_TRUE(is_interim_status(102));
    EXPECT_TRUE(is_interim_status(103));
    EXPECT_TRUE(is_interim_status(199));
    EXPECT_FALSE(is_interim_status(101));
    EXPECT_FALSE(is_interim_status(200));
    EXPECT_FALSE(is_interim_status(99));
    EXPECT_FALSE(is_interim_status(0));
}

TEST(InterimStatus, a_100_is_for_the_hop_that_expected_it) {
    EXPECT_FALSE(is_forwarded_interim(100));
    EXPECT_TRUE(is_forwarded_interim(102));
    EXPECT_TRUE(is_forwarded_interim(103));
    EXPECT_FALSE(is_forwarded_interim(101));
    EXPECT_FALSE(is_forwarded_interim(200));
}

TEST(InterimField, what_is_for_one_hop_or_of_a_body_does_not_go_on) {
    const Message hints({"Link: </a.css>", "Connection: X-Hop, close", "X-Hop: 1", "X-Other: 2"});
    EXPECT_TRUE(is_forwarded_interim_field("Link", hints));
    EXPECT_TRUE(is_forwarded_interim_field("x-other", hints));
    EXPECT_FALSE(is_forwarded_interim_field("x-hop", hints));
    EXPECT_FALSE(is_forwarded_interim_field("Connection", hints));
    EXPECT_FALSE(is_forwarded_interim_field("transfer-encoding", hints));
    EXPECT_FALSE(is_forwarded_interim_field("content-length", hints));
}

}  // namespace
}  // namespace slab_cache::http
