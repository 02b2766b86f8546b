#include "http/syntax.h"

#include <gtest/gtest.h>

#include "builder.h"

namespace slab_cache::http {
namespace {

std::vector<std::string> members(std::string_view line) {
    std::vector<std::string> out;
    ListReader reader(line);
    for (Bytes member; reader.next(&member);) {
        out.emplace_back(member);
    }
    return out;
}

using Strings = std::vector<std::string>;

TEST(Fields, names_are_found_in_any_case) {
    const Message message({"Date: d", "ETAG: e"});
    EXPECT_EQ(Fields(message).get("etag"), "e");
}

TEST(Fields, all_lines_of_a_name_are_walked_in_their_order) {
    const Message message({"A: 1", "B: 2", "a: 3"});
    Strings seen;
    for (const Field& field : Fields(message).lines("A")) {
        seen.emplace_back(field.value);
    }
    EXPECT_EQ(seen, (Strings{"1", "3"}));
}

TEST(Fields, an_absent_name_differs_from_an_empty_value) {
    const Message message({"A: "});
    EXPECT_TRUE(Fields(message).has("A"));
    EXPECT_FALSE(Fields(message).has("B"));
}

TEST(ListSyntax, members_are_trimmed_and_empty_ones_skipped) { EXPECT_EQ(members(" a ,, b\t, "), (Strings{"a", "b"})); }

TEST(ListSyntax, a_comma_inside_a_quoted_string_does_not_separate) {
    EXPECT_EQ(members(R"(a="x, y", b)"), (Strings{R"(a="x, y")", "b"}));
}

TEST(ListSyntax, an_escaped_quote_does_not_end_the_string) {
    EXPECT_EQ(members(R"(a="x\", y", b)"), (Strings{R"(a="x\", y")", "b"}));
}

TEST(ListSyntax, a_string_that_is_never_closed_is_reported) {
    ListReader reader("a=\"b, c");
    Bytes member;
    EXPECT_TRUE(reader.next(&member));
    EXPECT_FALSE(reader.next(&member));
    EXPECT_TRUE(reader.broken());
}

TEST(ListSyntax, several_lines_are_one_list) {
    const Message message({"A: 1, 2", "X: no", "A: ", "a: 3"});
    FieldListReader reader(message, "A");
    Strings seen;
    for (Bytes member; reader.next(&member);) {
        seen.emplace_back(member);
    }
    EXPECT_EQ(seen, (Strings{"1", "2", "3"}));
}

TEST(ListSyntax, an_open_string_in_an_earlier_line_is_not_forgotten) {
    const Message message({"A: \"x", "A: y"});
    FieldListReader reader(message, "A");
    size_t count = 0;
    for (Bytes member; reader.next(&member);) {
        count++;
    }
    EXPECT_EQ(count, 2u);
    EXPECT_TRUE(reader.broken());
}

TEST(DeltaSeconds, leading_zeros_are_fine) { EXPECT_EQ(parse_delta("003600"), 3600); }

TEST(DeltaSeconds, values_from_2_31_on_saturate) {
    EXPECT_EQ(parse_delta("2147483647"), 2147483647);
    EXPECT_EQ(parse_delta("2147483648"), kDeltaMax);
    EXPECT_EQ(parse_delta("4294967296"), kDeltaMax);
    EXPECT_EQ(parse_delta(std::string(5000, '9')), kDeltaMax);
}

TEST(DeltaSeconds, anything_but_bare_digits_is_no_number) {
    for (const char* text : {"", "-1", "+1", "1.0", "1 ", " 1", "abc", "1a", "a1", "0x1", "1,2"}) {
        EXPECT_EQ(parse_delta(text), -1) << text;
    }
}

TEST(SaturatedTime, sums_and_differences_stop_at_the_ends) {
    EXPECT_EQ(add_saturated(INT64_MAX, 1), INT64_MAX);
    EXPECT_EQ(add_saturated(INT64_MIN, -1), INT64_MIN);
    EXPECT_EQ(subtract_saturated(INT64_MIN, 1), INT64_MIN);
    EXPECT_EQ(subtract_saturated(INT64_MAX, -1), INT64_MAX);
}

TEST(DirectiveSyntax, blanks_around_the_equals_sign_are_noticed) {
    EXPECT_TRUE(split_directive("a =1").has_blanks);
    EXPECT_TRUE(split_directive("a= 1").has_blanks);
    EXPECT_FALSE(split_directive("a=1").has_blanks);
}

TEST(DirectiveSyntax, an_empty_argument_is_an_argument) {
    EXPECT_TRUE(split_directive("a=").has_argument);
    EXPECT_FALSE(split_directive("a").has_argument);
}

TEST(OutputBuffer, what_does_not_fit_is_counted_and_not_written) {
    char buffer[4] = {'.', '.', '.', '.'};
    Output out(buffer, 3);
    out.put("ab");
    out.put_number(1234);
    EXPECT_EQ(out.length(), 6u);
    EXPECT_FALSE(out.fits());
    EXPECT_EQ(std::string(buffer, 4), "ab1.");
}

TEST(OutputBuffer, the_largest_number_is_written_whole) {
    char buffer[20];
    Output out(buffer, sizeof(buffer));
    out.put_number(UINT64_MAX);
    EXPECT_EQ(std::string(buffer, out.length()), "18446744073709551615");
}

}  // namespace
}  // namespace slab_cache::http
