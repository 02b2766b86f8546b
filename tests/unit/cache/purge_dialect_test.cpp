// Purges as applications write them for Varnish: understood, or refused.
#include "cache/purge_dialect.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fuzz/selection.h"

namespace slab_cache::cache {
namespace {

struct Said {
    TagsRead read;
    uint32_t count;
    bool all;
    std::vector<uint64_t> selectors;
};

Said said(Bytes value, size_t room = 8) {
    test::Memory memory;
    Selection s = test::selection_in(&memory);
    EXPECT_TRUE(make_room(&s, room));
    const TagsRead read = select_tag_pattern(&s, value);
    return {read, s.count, s.all, {s.selector, s.selector + s.count}};
}

std::vector<uint64_t> tags(const std::vector<std::string>& names) {
    std::vector<uint64_t> out;
    for (const std::string& n : names) {
        out.push_back(tag_selector(n, test::kSelectionSecret));
    }
    return out;
}

TEST(TagPattern, of_magento_names_tags) {
    EXPECT_EQ(said("((^|,)cat_p_1(,|$))").selectors, tags({"cat_p_1"}));
    EXPECT_EQ(said("((^|,)a(,|$))|((^|,)b-2(,|$))").selectors, tags({"a", "b-2"}));
}

TEST(TagPattern, of_fos_names_tags_quoted_as_php_quotes) {
    EXPECT_EQ(said("(^|,)(a|b\\.c|d\\-e)(,|$)").selectors, tags({"a", "b.c", "d-e"}));
    EXPECT_EQ(said("(a|b)(,.+)?$").selectors, tags({"a", "b"}));
}

TEST(TagPattern, may_be_a_list_or_stand_for_all) {
    EXPECT_EQ(said("a b,c").selectors, tags({"a", "b", "c"}));
    EXPECT_EQ(said(".*").read, TagsRead::kAll);
    EXPECT_TRUE(said(".*").all);
}

TEST(TagPattern, of_any_other_form_is_not_understood_and_adds_nothing) {
    for (const char* value :
         {"", " ", "((^|,)a(,|$))|", "((^|,)a(,|$))x", "((^|,)(,|$))", "((^|,)a.*(,|$))", "(^|,)(a|)(,|$)", "a.*",
          "^a$", "(a|b)", "(^|,)(a b)(,|$)", "[a]", "a\\", "((^|,)a(,|$))|((^|,)b"}) {
        const Said s = said(value);
        EXPECT_EQ(s.read, TagsRead::kNotUnderstood) << value;
        EXPECT_EQ(s.count, 0u) << value;
        EXPECT_FALSE(s.all) << value;
    }
}

TEST(TagPattern, of_more_tags_than_there_is_room_for_says_so) {
    EXPECT_EQ(said("((^|,)a(,|$))|((^|,)b(,|$))", 1).read, TagsRead::kTooMany);
    EXPECT_EQ(said("a b", 1).read, TagsRead::kTooMany);
}

struct UrlSaid {
    bool ok;
    uint64_t first;
    uint32_t globs;
    std::string pattern;
};

UrlSaid url_said(Bytes path, Bytes args = {}) {
    test::Memory memory;
    Selection s = test::selection_in(&memory);
    EXPECT_TRUE(make_room(&s, 4));
    const bool ok = select_url_pattern(&s, {"h", path, args});
    return {ok, s.count != 0 ? s.selector[0] : 0, s.glob_count,
            s.glob_count != 0 ? std::string(s.glob[0].pattern) : ""};
}

TEST(UrlPattern, with_all_at_its_end_is_what_begins_so) {
    EXPECT_EQ(url_said("/.*").first, host_selector("h", test::kSelectionSecret));
    EXPECT_EQ(url_said("/news/.*").first, prefix_selector("h", "/news/", test::kSelectionSecret));
    EXPECT_EQ(url_said("/news.*").pattern, "/news*");
    EXPECT_EQ(url_said("/news").pattern, "/news*");
    EXPECT_EQ(url_said("/a.html").pattern, "/a.html*");
}

TEST(UrlPattern, of_any_other_expression_is_refused) {
    for (const char* path : {"/a.+", "/(a|b).*", "/a$", "/a\\.html", "/.*.*", "/[a-z].*", "/a*b"}) {
        EXPECT_FALSE(url_said(path).ok) << path;
    }
    EXPECT_FALSE(url_said("/a.*", "b=c").ok);
}

TEST(Dialect, of_a_ban_alone_are_the_fields_of_fos) {
    EXPECT_EQ(dialect_of("x-url", "BAN"), Dialect::kScope);
    EXPECT_EQ(dialect_of("X-Url", "PURGE"), Dialect::kNone);
    EXPECT_EQ(dialect_of("Purge-Cache-Tags", "PURGE"), Dialect::kTags);
    EXPECT_EQ(dialect_of("Surrogate-Key", "PURGE"), Dialect::kNone);
}

}  // namespace
}  // namespace slab_cache::cache
