#include "http/range.h"

#include <gtest/gtest.h>

#include <string>

namespace slab_cache::http {
namespace {

// "0-99 200-299", "whole" or "416".
std::string parse(const std::string& value, uint64_t length = 1000) {
    RangeSet set;
    parse_ranges(value, length, &set);
    if (set.answer != RangeAnswer::kPartial) {
        return set.answer == RangeAnswer::kWhole ? "whole" : "416";
    }
    std::string out;
    for (uint32_t i = 0; i < set.count; i++) {
        out += (i != 0 ? " " : "") + std::to_string(set.ranges[i].first) + "-" + std::to_string(set.ranges[i].last);
    }
    return out;
}

TEST(RangeField, first_last_and_suffix_ranges_are_read) {
    EXPECT_EQ(parse("bytes=0-99"), "0-99");
    EXPECT_EQ(parse("bytes=900-"), "900-999");
    EXPECT_EQ(parse("bytes=-100"), "900-999");
    EXPECT_EQ(parse("BYTES=0-0"), "0-0");
}

TEST(RangeField, what_lies_beyond_the_end_is_cut) {
    EXPECT_EQ(parse("bytes=990-2000"), "990-999");
    EXPECT_EQ(parse("bytes=-5000"), "0-999");
    EXPECT_EQ(parse("bytes=5-99999999999999999999999"), "5-999");
}

TEST(RangeField, several_ranges_are_kept_in_their_order) {
    EXPECT_EQ(parse("bytes=500-599 , 0-9,-1"), "500-599 0-9 999-999");
}

TEST(RangeField, nothing_satisfiable_is_a_416) {
    EXPECT_EQ(parse("bytes=1000-"), "416");
    EXPECT_EQ(parse("bytes=1000-1001, -0"), "416");
    EXPECT_EQ(parse("bytes=99999999999999999999999-"), "416");
}

TEST(RangeField, an_empty_body_has_no_ranges) {
    EXPECT_EQ(parse("bytes=0-", 0), "416");
    EXPECT_EQ(parse("bytes=-5", 0), "416");
}

TEST(RangeField, unsatisfiable_ranges_among_others_are_left_out) { EXPECT_EQ(parse("bytes=2000-, 0-9"), "0-9"); }

TEST(RangeField, nonsense_and_other_units_are_ignored) {
    for (const char* value : {"", "bytes", "bytes=", "bytes=,", "bytes=a-b", "bytes=5", "bytes=-", "bytes=9-5",
                              "bytes=0-1 2-3", "bytes =0-1", "lines=0-1", "bytes=0-1,x", "bytes=0--1", "bytes=+1-2"}) {
        EXPECT_EQ(parse(value), "whole") << value;
    }
}

TEST(RangeField, more_than_the_whole_is_answered_by_the_whole) {
    EXPECT_EQ(parse("bytes=0-,0-,0-"), "whole");
    EXPECT_EQ(parse("bytes=0-499,500-999"), "0-499 500-999");
    EXPECT_EQ(parse("bytes=0-499,499-999"), "whole");
}

TEST(RangeField, more_ranges_than_can_be_kept_are_ignored) {
    std::string value = "bytes=0-0";
    for (uint32_t i = 1; i < kMaxRanges; i++) {
        value += "," + std::to_string(2 * i) + "-" + std::to_string(2 * i);
    }
    EXPECT_NE(parse(value), "whole");
    EXPECT_EQ(parse(value + ",999-999"), "whole");
}

TEST(RangeField, the_largest_body_does_not_overflow) {
    EXPECT_EQ(parse("bytes=0-,0-", UINT64_MAX), "whole");
    EXPECT_EQ(parse("bytes=18446744073709551614-", UINT64_MAX), "18446744073709551614-18446744073709551614");
}

}  // namespace
}  // namespace slab_cache::http
