#include "http/cache_control.h"

#include <gtest/gtest.h>

#include "builder.h"
#include "http/syntax.h"

namespace slab_cache::http {
namespace {

CacheControl parse(const std::string& value) { return parse_cache_control(Message({"Cache-Control: " + value})); }

CacheControl parse_cdn(const std::string& value) {
    return parse_cdn_cache_control(Message({"CDN-Cache-Control: " + value}));
}

TEST(CacheControlField, names_are_read_in_any_case) {
    EXPECT_EQ(parse("MaX-AgE=60").max_age, 60);
    EXPECT_TRUE(parse("NO-STORE").no_store);
}

TEST(CacheControlField, several_lines_are_one_list) {
    const CacheControl cc = parse_cache_control(Message({"Cache-Control: max-age=5", "cache-control: no-cache"}));
    EXPECT_EQ(cc.max_age, 5);
    EXPECT_TRUE(cc.no_cache);
}

TEST(CacheControlField, a_max_age_inside_a_quoted_string_does_not_count) {
    EXPECT_EQ(parse(R"(ext="x, max-age=60", max-age=1)").max_age, 1);
    EXPECT_EQ(parse(R"(ext="max-age=60")").max_age, kAbsent);
}

TEST(CacheControlField, single_quotes_are_not_quotes) {
    EXPECT_EQ(parse("max-age='60'").max_age, 0);
    EXPECT_TRUE(parse("ext='a, no-store, b'").no_store);
}

TEST(CacheControlField, a_quoted_number_is_read) { EXPECT_EQ(parse("max-age=\"60\"").max_age, 60); }

TEST(CacheControlField, leading_zeros_are_fine) { EXPECT_EQ(parse("max-age=0060").max_age, 60); }

TEST(CacheControlField, lifetimes_from_2_31_on_are_very_long) {
    EXPECT_EQ(parse("max-age=2147483648").max_age, kDeltaMax);
    EXPECT_EQ(parse("max-age=99999999999999999999999999").max_age, kDeltaMax);
}

TEST(CacheControlField, of_repeated_lifetimes_the_first_counts) {
    EXPECT_EQ(parse("max-age=10, max-age=20").max_age, 10);
    EXPECT_EQ(parse("max-age=x, max-age=20").max_age, 0);
}

TEST(CacheControlField, a_lifetime_that_is_no_non_negative_integer_is_stale) {
    for (const char* value : {"max-age=-5", "max-age=7.0", "max-age=a7", "max-age=7a", "max-age=", "max-age",
                              "max-age =7", "max-age= 7", "max-age=\"7", "max-age=7;x"}) {
        EXPECT_EQ(parse(value).max_age, 0) << value;
    }
}

TEST(CacheControlField, unknown_directives_are_skipped) {
    EXPECT_EQ(parse("foo, bar=1, max-age=3, baz=\"x\"").max_age, 3);
    EXPECT_EQ(parse("xmax-age=9").max_age, kAbsent);
}

TEST(CacheControlField, a_string_that_is_never_closed_forbids_storing) {
    EXPECT_TRUE(parse("max-age=60, ext=\"no-store").no_store);
}

TEST(CacheControlField, no_cache_with_field_names_is_not_plain_no_cache) {
    const CacheControl cc = parse("no-cache=\"a, b\"");
    EXPECT_FALSE(cc.no_cache);
    EXPECT_TRUE(cc.no_cache_fields);
}

TEST(CacheControlField, no_cache_with_an_empty_or_odd_list_is_plain_no_cache) {
    EXPECT_TRUE(parse("no-cache=\"\"").no_cache);
    EXPECT_TRUE(parse("no-cache=\"a b\"").no_cache);
    EXPECT_TRUE(parse("no-cache=").no_cache);
}

TEST(CacheControlField, no_cache_lists_the_fields_it_names) {
    const Message message({"Cache-Control: max-age=1, no-cache=\"Set-Cookie, a\""});
    EXPECT_TRUE(no_cache_lists(message, "set-cookie"));
    EXPECT_TRUE(no_cache_lists(message, "A"));
    EXPECT_FALSE(no_cache_lists(message, "b"));
}

TEST(CacheControlField, private_with_field_names_is_plain_private) { EXPECT_TRUE(parse("private=\"a\"").is_private); }

TEST(CacheControlField, a_permission_with_an_argument_is_no_permission) {
    EXPECT_FALSE(parse("public=no").is_public);
    EXPECT_TRUE(parse("public").is_public);
}

TEST(CacheControlField, max_stale_without_a_number_means_any) {
    EXPECT_EQ(parse("max-stale").max_stale, kDeltaMax);
    EXPECT_EQ(parse("max-stale=5").max_stale, 5);
}

TEST(CacheControlField, an_empty_field_says_nothing) { EXPECT_FALSE(parse("").present); }

TEST(CdnCacheControl, is_a_structured_dictionary) {
    const CacheControl cc = parse_cdn("max-age=60, no-store, private=?0");
    EXPECT_TRUE(cc.present);
    EXPECT_EQ(cc.max_age, 60);
    EXPECT_TRUE(cc.no_store);
    EXPECT_FALSE(cc.is_private);
}

TEST(CdnCacheControl, integers_have_up_to_fifteen_digits) {
    EXPECT_EQ(parse_cdn("max-age=999999999999999").max_age, kDeltaMax);
    EXPECT_FALSE(parse_cdn("max-age=9999999999999999").present);
}

TEST(CdnCacheControl, an_empty_or_unparsable_field_is_ignored) {
    for (const char* value : {"", " ", "max-age=60,", "Max-Age=60", "max-age=60, &", "max-age =60", "max-age= 60",
                              "max-age=60 no-store", "max-age=\"60"}) {
        EXPECT_FALSE(parse_cdn(value).present) << value;
    }
}

TEST(CdnCacheControl, a_lifetime_of_a_wrong_type_ignores_the_field) {
    for (const char* value :
         {"max-age=\"60\"", "max-age=60.0", "max-age", "max-age=abc", "no-store, max-age=(1 2)", "s-maxage=@60"}) {
        EXPECT_FALSE(parse_cdn(value).present) << value;
    }
}

TEST(CdnCacheControl, parameters_and_unknown_members_do_not_matter) {
    EXPECT_EQ(parse_cdn("max-age=60;a=1;b, foo=(a \"b\");c, bar=:YQ==:").max_age, 60);
}

TEST(CdnCacheControl, a_negative_lifetime_is_stale) { EXPECT_EQ(parse_cdn("max-age=-1").max_age, 0); }

TEST(CdnCacheControl, of_repeated_keys_the_last_counts) { EXPECT_EQ(parse_cdn("max-age=1, max-age=2").max_age, 2); }

TEST(CdnCacheControl, several_lines_are_one_dictionary) {
    const CacheControl cc =
        parse_cdn_cache_control(Message({"CDN-Cache-Control: max-age=60", "CDN-Cache-Control: private"}));
    EXPECT_EQ(cc.max_age, 60);
    EXPECT_TRUE(cc.is_private);
}

TEST(CdnCacheControl, a_prohibition_of_an_odd_type_still_holds) {
    EXPECT_TRUE(parse_cdn("private=\"set-cookie\"").is_private);
    EXPECT_FALSE(parse_cdn("public=\"x\"").is_public);
}

}  // namespace
}  // namespace slab_cache::http
