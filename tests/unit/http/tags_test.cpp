#include "http/tags.h"

#include <gtest/gtest.h>

#include "builder.h"

namespace slab_cache::http {
namespace {

using Strings = std::vector<std::string>;

Strings tags(std::string_view value) {
    Strings out;
    TagReader reader(value);
    for (Bytes tag; reader.next(&tag);) {
        out.emplace_back(tag);
    }
    return out;
}

Strings groups(const Message& message) {
    Strings out;
    GroupReader reader(message, kCacheGroups);
    for (Bytes group; reader.next(&group);) {
        out.emplace_back(group);
    }
    return out;
}

TEST(Tags, are_separated_by_spaces_and_commas) {
    EXPECT_EQ(tags(" a, b\tc,,d "), (Strings{"a", "b", "c", "d"}));
    EXPECT_EQ(tags(" , "), Strings{});
}

TEST(Tags, come_from_three_fields_by_default) {
    EXPECT_TRUE(is_tag_field("surrogate-key"));
    EXPECT_TRUE(is_tag_field("Cache-Tag"));
    EXPECT_TRUE(is_tag_field("xkey"));
    EXPECT_FALSE(is_tag_field("Cache-Groups"));
}

TEST(Tags, come_from_the_fields_that_the_operator_names_in_place_of_those) {
    const base::Bytes names[] = {"X-Magento-Tags", "X-Own"};
    TagPolicy policy;
    policy.usual = false;
    policy.field = names;
    policy.field_count = 2;
    EXPECT_TRUE(is_tag_field("x-magento-tags", policy));
    EXPECT_TRUE(is_tag_field("X-OWN", policy));
    EXPECT_FALSE(is_tag_field("Surrogate-Key", policy));
    EXPECT_TRUE(is_tag_field("Surrogate-Key", TagPolicy{}));
    EXPECT_FALSE(is_tag_field("X-Own", TagPolicy{}));
}

TEST(CacheGroups, are_a_list_of_strings_over_all_lines) {
    EXPECT_EQ(groups({"Cache-Groups: \"a b\", \"c\";x=1", "cache-groups: \"d\\\"e\""}),
              (Strings{"a b", "c", "d\\\"e"}));
}

TEST(CacheGroups, a_field_that_does_not_parse_names_none) {
    EXPECT_EQ(groups({"Cache-Groups: \"a\"", "Cache-Groups: \"b"}), Strings{});
    EXPECT_EQ(groups({"Cache-Groups: \"a\","}), Strings{});
}

TEST(CacheGroups, members_that_are_no_strings_are_skipped) {
    EXPECT_EQ(groups({"Cache-Groups: a, 1, \"b\""}), (Strings{"b"}));
}

}  // namespace
}  // namespace slab_cache::http
