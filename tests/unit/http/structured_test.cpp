#include "http/structured.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace slab_cache::http {
namespace {

// "key:type" of each member, or "failed".
std::string dictionary(std::string_view line) {
    constexpr const char* kTypes[] = {"integer", "decimal", "string",  "token", "bytes",
                                      "boolean", "date",    "display", "list"};
    std::string out;
    StructuredReader reader(line);
    for (Item item; reader.next_dictionary_member(&item);) {
        out += std::string(item.key) + ":" + kTypes[static_cast<int>(item.type)] + " ";
    }
    return reader.failed() ? "failed" : out;
}

Item only_item(std::string_view line) {
    StructuredReader reader(line);
    Item item;
    EXPECT_TRUE(reader.next_list_member(&item)) << line;
    return item;
}

bool is_item(std::string_view line) {
    StructuredReader reader(line);
    Item item;
    while (reader.next_list_member(&item)) {
    }
    return !reader.failed();
}

TEST(StructuredField, every_type_is_recognised) {
    EXPECT_EQ(dictionary("a=1, b=-1.5, c=\"s\", d=tok, e=:YQ==:, f, g=?0, h=@1, i=%\"x\", j=(1 \"a\")"),
              "a:integer b:decimal c:string d:token e:bytes f:boolean g:boolean h:date i:display "
              "j:list ");
}

TEST(StructuredField, an_empty_line_is_an_empty_dictionary) { EXPECT_EQ(dictionary("  "), ""); }

TEST(StructuredField, keys_are_lower_case) {
    EXPECT_EQ(dictionary("A=1"), "failed");
    EXPECT_EQ(dictionary("*a_-.*9=1"), "*a_-.*9:integer ");
    EXPECT_EQ(dictionary("1a=1"), "failed");
}

TEST(StructuredField, members_are_separated_by_exactly_one_comma) {
    EXPECT_EQ(dictionary("a \t, \tb"), "a:boolean b:boolean ");
    EXPECT_EQ(dictionary("a,,b"), "failed");
    EXPECT_EQ(dictionary("a,"), "failed");
    EXPECT_EQ(dictionary(",a"), "failed");
    EXPECT_EQ(dictionary("a b"), "failed");
}

TEST(StructuredField, no_blanks_stand_around_the_equals_sign) {
    EXPECT_EQ(dictionary("a =1"), "failed");
    EXPECT_EQ(dictionary("a= 1"), "failed");
}

TEST(StructuredField, parameters_are_checked_and_skipped) {
    EXPECT_EQ(dictionary("a=1;x; y=\"z\";w=?1, b;q=1.5"), "a:integer b:boolean ");
    EXPECT_EQ(dictionary("a=1;X"), "failed");
    EXPECT_EQ(dictionary("a=1;x="), "failed");
}

TEST(StructuredField, integers_have_at_most_fifteen_digits) {
    EXPECT_EQ(only_item("-999999999999999").integer, -999999999999999);
    EXPECT_FALSE(is_item("1234567890123456"));
    EXPECT_FALSE(is_item("-"));
    EXPECT_FALSE(is_item("--1"));
    EXPECT_FALSE(is_item("+1"));
}

TEST(StructuredField, decimals_have_twelve_and_three_digits) {
    EXPECT_TRUE(is_item("123456789012.123"));
    EXPECT_FALSE(is_item("1234567890123.1"));
    EXPECT_FALSE(is_item("1.1234"));
    EXPECT_FALSE(is_item("1."));
    EXPECT_FALSE(is_item(".1"));
}

TEST(StructuredField, strings_are_printable_ascii_with_two_escapes) {
    EXPECT_EQ(only_item(R"("a\"b\\")").text, R"(a\"b\\)");
    EXPECT_FALSE(is_item(R"("a\n")"));
    EXPECT_FALSE(is_item("\"a"));
    EXPECT_FALSE(is_item("\"a\x7f\""));
    EXPECT_FALSE(is_item("\"\xc3\xa9\""));
    EXPECT_FALSE(is_item("\"a\\"));
}

TEST(StructuredField, tokens_may_hold_colons_and_slashes) {
    EXPECT_EQ(only_item("*a:b/c").text, "*a:b/c");
    EXPECT_FALSE(is_item("a\"b"));
}

TEST(StructuredField, byte_sequences_are_base64_between_colons) {
    EXPECT_TRUE(is_item("::"));
    EXPECT_FALSE(is_item(":a_b:"));
    EXPECT_FALSE(is_item(":aa"));
}

TEST(StructuredField, booleans_are_zero_or_one) {
    EXPECT_TRUE(only_item("?1").boolean);
    EXPECT_FALSE(is_item("?2"));
    EXPECT_FALSE(is_item("?"));
}

TEST(StructuredField, dates_are_integers) {
    EXPECT_EQ(only_item("@1659578233").integer, 1659578233);
    EXPECT_FALSE(is_item("@1.5"));
    EXPECT_FALSE(is_item("@"));
}

TEST(StructuredField, display_strings_are_percent_encoded_utf_8) {
    EXPECT_TRUE(is_item("%\"f%c3%bc\""));
    EXPECT_FALSE(is_item("%\"f%C3%BC\""));
    EXPECT_FALSE(is_item("%\"%c3\""));
    EXPECT_FALSE(is_item("%\"%c0%80\""));
    EXPECT_FALSE(is_item("%\"%ed%a0%80\""));
    EXPECT_FALSE(is_item("%\"%f5%80%80%80\""));
    EXPECT_FALSE(is_item("%\"%4\""));
    EXPECT_FALSE(is_item("%x"));
}

TEST(StructuredField, inner_lists_are_separated_by_spaces) {
    EXPECT_TRUE(is_item("( 1  2 );a, ()"));
    EXPECT_FALSE(is_item("(1,2)"));
    EXPECT_FALSE(is_item("(1 2"));
    EXPECT_FALSE(is_item("(\"a\"\"b\")"));
}

TEST(StructuredField, nothing_is_yielded_after_a_failure) {
    StructuredReader reader("&, a");
    Item item;
    EXPECT_FALSE(reader.next_dictionary_member(&item));
    EXPECT_FALSE(reader.next_dictionary_member(&item));
    EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace slab_cache::http
