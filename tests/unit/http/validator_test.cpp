#include "http/validator.h"

#include <gtest/gtest.h>

#include "builder.h"
#include "http/syntax.h"

namespace slab_cache::http {
namespace {

constexpr int64_t kModified = kNow - 1000;

Validators validators_of(const Fields& stored, int64_t date) {
    return {trim(stored.get("ETag")), trim(stored.get("Last-Modified")), date};
}

Condition check(const Message& request, const Message& stored, Method method = Method::kGet, uint16_t status = 200) {
    return evaluate_preconditions(request, method, status, validators_of(stored, kNow - 10), kNow);
}

const Message& page() {
    static const Message message({"ETag: \"a\"", "Last-Modified: " + date(kModified)});
    return message;
}

// ---- comparison: RFC 9110 §8.8.3.2

TEST(EntityTag, weak_comparison_leaves_the_weakness_out) {
    EXPECT_TRUE(weak_equal("W/\"a\"", "\"a\""));
    EXPECT_TRUE(weak_equal("W/\"a\"", "W/\"a\""));
    EXPECT_FALSE(weak_equal("\"a\"", "\"b\""));
    EXPECT_FALSE(weak_equal("", ""));
}

TEST(EntityTag, strong_comparison_wants_both_strong) {
    EXPECT_TRUE(strong_equal("\"a\"", "\"a\""));
    EXPECT_FALSE(strong_equal("W/\"a\"", "W/\"a\""));
    EXPECT_FALSE(strong_equal("\"a\"", "W/\"a\""));
    EXPECT_FALSE(strong_equal("", ""));
}

// ---- conditions: RFC 9110 §13, RFC 9111 §4.3.2

TEST(IfNoneMatch, a_match_is_not_modified) {
    EXPECT_EQ(check({"If-None-Match: \"a\""}, page()), Condition::kNotModified);
    EXPECT_EQ(check({"If-None-Match: \"b\""}, page()), Condition::kProceed);
}

TEST(IfNoneMatch, compares_weakly) {
    EXPECT_EQ(check({"If-None-Match: W/\"a\""}, page()), Condition::kNotModified);
    EXPECT_EQ(check({"If-None-Match: \"a\""}, {"ETag: W/\"a\""}), Condition::kNotModified);
}

TEST(IfNoneMatch, takes_lists_and_lines_and_tags_with_commas) {
    EXPECT_EQ(check({"If-None-Match: \"x\" , W/\"y\",\"a\""}, page()), Condition::kNotModified);
    EXPECT_EQ(check({"If-None-Match: \"x\"", "If-None-Match: \"a\""}, page()), Condition::kNotModified);
    EXPECT_EQ(check({"If-None-Match: \"x,\"a\""}, {"ETag: \"a\""}), Condition::kProceed);
    EXPECT_EQ(check({"If-None-Match: \"p,q\""}, {"ETag: \"p,q\""}), Condition::kNotModified);
}

TEST(IfNoneMatch, a_star_matches_whatever_is_stored) {
    EXPECT_EQ(check({"If-None-Match: *"}, {}), Condition::kNotModified);
}

TEST(IfNoneMatch, a_tag_without_quotes_is_compared_as_it_stands) {
    EXPECT_EQ(check({"If-None-Match: abc, d"}, {"ETag: abc"}), Condition::kNotModified);
    EXPECT_EQ(check({"If-None-Match: abc"}, {"ETag: \"abc\""}), Condition::kProceed);
}

TEST(IfNoneMatch, makes_if_modified_since_count_for_nothing) {
    EXPECT_EQ(check({"If-None-Match: \"b\"", "If-Modified-Since: " + date(kNow)}, page()), Condition::kProceed);
    EXPECT_EQ(check({"If-None-Match: \"a\"", "If-Modified-Since: " + date(0)}, page()), Condition::kNotModified);
}

TEST(IfNoneMatch, fails_a_request_that_does_not_read) {
    EXPECT_EQ(check({"If-None-Match: \"a\""}, page(), Method::kPost), Condition::kFailed);
}

TEST(IfModifiedSince, at_or_after_last_modified_is_not_modified) {
    EXPECT_EQ(check({"If-Modified-Since: " + date(kModified)}, page()), Condition::kNotModified);
    EXPECT_EQ(check({"If-Modified-Since: " + date(kModified + 1)}, page()), Condition::kNotModified);
    EXPECT_EQ(check({"If-Modified-Since: " + date(kModified - 1)}, page()), Condition::kProceed);
}

TEST(IfModifiedSince, without_last_modified_date_stands_in) {
    EXPECT_EQ(check({"If-Modified-Since: " + date(kNow - 10)}, {}), Condition::kNotModified);
    EXPECT_EQ(check({"If-Modified-Since: " + date(kNow - 11)}, {}), Condition::kProceed);
}

TEST(IfModifiedSince, what_is_no_date_is_ignored) {
    EXPECT_EQ(check({"If-Modified-Since: now"}, page()), Condition::kProceed);
}

TEST(IfMatch, wants_a_strong_match) {
    EXPECT_EQ(check({"If-Match: \"a\""}, page()), Condition::kProceed);
    EXPECT_EQ(check({"If-Match: \"b\", \"c\""}, page()), Condition::kFailed);
    EXPECT_EQ(check({"If-Match: W/\"a\""}, {"ETag: W/\"a\""}), Condition::kFailed);
    EXPECT_EQ(check({"If-Match: *"}, {}), Condition::kProceed);
}

TEST(IfUnmodifiedSince, fails_when_it_was_modified_since) {
    EXPECT_EQ(check({"If-Unmodified-Since: " + date(kModified)}, page()), Condition::kProceed);
    EXPECT_EQ(check({"If-Unmodified-Since: " + date(kModified - 1)}, page()), Condition::kFailed);
    EXPECT_EQ(check({"If-Unmodified-Since: " + date(0)}, {}), Condition::kProceed);
}

TEST(IfUnmodifiedSince, counts_for_nothing_beside_if_match) {
    EXPECT_EQ(check({"If-Match: \"a\"", "If-Unmodified-Since: " + date(0)}, page()), Condition::kProceed);
}

TEST(Conditions, apply_to_a_2xx_only) {
    EXPECT_EQ(check({"If-None-Match: \"a\""}, page(), Method::kGet, 404), Condition::kProceed);
}

TEST(Conditions, none_is_proceed) { EXPECT_EQ(check({}, page()), Condition::kProceed); }

// ---- If-Range: RFC 9110 §13.1.5

bool ranges(const std::string& value, const Message& stored) {
    return if_range_holds(Message({"If-Range: " + value}), validators_of(stored, kNow), kNow);
}

TEST(IfRange, holds_for_a_strong_match_of_the_tag) {
    EXPECT_TRUE(ranges("\"a\"", page()));
    EXPECT_FALSE(ranges("\"b\"", page()));
    EXPECT_FALSE(ranges("W/\"a\"", {"ETag: W/\"a\""}));
}

TEST(IfRange, holds_for_the_very_date_of_an_older_last_modified) {
    EXPECT_TRUE(ranges(date(kModified), page()));
    EXPECT_FALSE(ranges(date(kModified + 1), page()));
    EXPECT_FALSE(ranges(date(kNow), {"Last-Modified: " + date(kNow)}));
    EXPECT_FALSE(ranges("nonsense", page()));
}

TEST(IfRange, absent_stands_against_nothing) {
    EXPECT_TRUE(if_range_holds(Fields{}, validators_of(page(), kNow), kNow));
}

// ---- fields

TEST(NotModifiedResponse, carries_what_updates_a_cache) {
    for (const char* name : {"etag", "Date", "Vary", "Cache-Control", "Expires", "Content-Location"}) {
        EXPECT_TRUE(is_304_field(name)) << name;
    }
    EXPECT_FALSE(is_304_field("Content-Type"));
}

// ---- HEAD: RFC 9111 §4.3.5

bool differs(const Message& head) { return head_differs(page(), head, 1000); }

TEST(HeadResponse, other_validators_or_length_show_the_stored_get_out_of_date) {
    EXPECT_TRUE(differs({"ETag: \"b\""}));
    EXPECT_TRUE(differs({"Last-Modified: " + date(kNow)}));
    EXPECT_TRUE(differs({"Content-Length: 999"}));
}

TEST(HeadResponse, the_same_or_nothing_says_nothing) {
    EXPECT_FALSE(differs({"ETag: \"a\"", "Last-Modified: " + date(kModified), "Content-Length: 1000"}));
    EXPECT_FALSE(differs({}));
}

}  // namespace
}  // namespace slab_cache::http
