// What a purge is to hit: by URL, prefix, host, tag, pattern; as a request or as JSON.
#include "cache/purge_batch.h"

#include <gtest/gtest.h>

#include <string>

#include "cache/globs.h"
#include "cache/purge_json.h"
#include "cache/purge_request.h"
#include "support/selection.h"

namespace slab_cache::cache {
namespace {

using test::has;
constexpr const uint8_t* kSecret = test::kSelectionSecret;

struct Selected : Selection {
    test::Memory memory;
    explicit Selected(size_t room = 16) : Selection(test::selection_in(&memory)) { EXPECT_TRUE(make_room(this, room)); }
};

TEST(Select, a_url_is_its_selector) {
    Selected s;
    EXPECT_TRUE(select_url(&s, "http://h/a?b=c&d"));
    EXPECT_TRUE(s.count == 1 && has(s, url_selector({"h", "/a", "d&b=c"}, kSecret)));
}

TEST(Select, a_url_that_ends_in_slash_star_is_what_lies_below) {
    Selected s;
    EXPECT_TRUE(select_url(&s, "h/a/*"));
    EXPECT_TRUE(s.count == 1 && has(s, prefix_selector("h", "/a/", kSecret)) && s.glob_count == 0);
}

TEST(Select, any_other_star_is_a_pattern) {
    Selected s;
    for (const Bytes url : {Bytes("h/a*"), Bytes("h/*/b"), Bytes("h/*/*"), Bytes("h/a/*?x"), Bytes("h/a?b=*")}) {
        EXPECT_TRUE(select_url(&s, url)) << url;
    }
    ASSERT_EQ(s.glob_count, 5u);
    EXPECT_EQ(s.glob[3].pattern, "/a/*?x");
    EXPECT_EQ(s.glob[0].host, "h");
    EXPECT_TRUE(has(s, url_selector({"h", "/a*", ""}, kSecret)));  // whose counter the pattern gets
}

TEST(Select, a_prefix_is_the_page_and_what_lies_below) {
    Selected s;
    EXPECT_TRUE(select_prefix(&s, "h/a"));
    EXPECT_TRUE(s.count == 2 && s.accepted == 1);
    EXPECT_TRUE(has(s, url_selector({"h", "/a", ""}, kSecret)) && has(s, prefix_selector("h", "/a/", kSecret)));
    EXPECT_FALSE(select_prefix(&s, "h/a?b"));
    EXPECT_EQ(s.count, 2u);
}

TEST(Select, a_host_has_no_path) {
    Selected s;
    EXPECT_TRUE(select_host(&s, "H:81"));
    EXPECT_TRUE(has(s, host_selector("h", kSecret)));
    EXPECT_FALSE(select_host(&s, "h/"));
    EXPECT_FALSE(select_host(&s, "h?a"));
    EXPECT_FALSE(select_host(&s, ""));
}

TEST(Select, adds_nothing_where_there_is_no_room) {
    Selected s(1);
    EXPECT_FALSE(select_prefix(&s, "h/a"));
    EXPECT_TRUE(is_empty(s));
    EXPECT_TRUE(select_tag(&s, "a"));
    EXPECT_FALSE(select_tag(&s, "b"));
    EXPECT_FALSE(select_url(&s, "h/a*"));
    EXPECT_TRUE(s.count == 1 && s.accepted == 1 && s.glob_count == 0);
}

TEST(Select, takes_32_patterns_at_most_and_none_that_fits_no_rule) {
    Selected s(100);
    EXPECT_FALSE(select_url(&s, "h/" + std::string(kGlobText, 'a') + "*"));
    for (uint32_t i = 0; i < kMaxGlobs; i++) {
        EXPECT_TRUE(select_url(&s, "h/a*" + std::to_string(i)));
    }
    EXPECT_FALSE(select_url(&s, "h/b*"));
    EXPECT_EQ(s.count, kMaxGlobs);
}

TEST(Select, exactly_takes_a_star_for_a_star) {
    Selected s;
    EXPECT_TRUE(select_exactly(&s, {"h", "/a/*", ""}));
    EXPECT_TRUE(s.glob_count == 0 && has(s, url_selector({"h", "/a/*", ""}, kSecret)));
}

// ---- PURGE ---------------------------------------------------------------------------------------------------

TEST(PurgeMethod, is_the_one_configured_and_purge_includes_purgekeys) {
    EXPECT_TRUE(is_purge_method("PURGE", "PURGE"));
    EXPECT_TRUE(is_purge_method("PURGEKEYS", "PURGE"));
    EXPECT_FALSE(is_purge_method("PURGEKEYS", "BAN"));
    EXPECT_FALSE(is_purge_method("purge", "PURGE"));
}

struct Asked : Selected {
    PurgeRequest purge;
    explicit Asked(Bytes method = "PURGE", size_t room = 16)
        : Selected(room), purge{this, method, false, false, false, {}} {}
    bool read(Bytes name, Bytes value) { return read_purge_field(&purge, name, value) == FieldRead::kFine; }
};

TEST(PurgeField, names_tags_in_any_of_their_fields) {
    Asked s;
    for (const Bytes name : {Bytes("Surrogate-Key"), Bytes("cache-tag"), Bytes("xkey"), Bytes("Xkey-Purge")}) {
        EXPECT_TRUE(s.read(name, " a, b\t"));
    }
    EXPECT_TRUE(s.count == 8 && !s.soft && has(s, tag_selector("a", kSecret)) && has(s, tag_selector("b", kSecret)));
    EXPECT_TRUE(s.read("Accept", "c"));
    EXPECT_EQ(s.count, 8u);
    EXPECT_EQ(purge_names(s.purge), PurgeNames::kTags);
}

TEST(PurgeField, makes_it_soft) {
    Asked a, b, c;
    EXPECT_TRUE(a.read("fastly-soft-purge", "1") && a.soft && is_empty(a));
    EXPECT_TRUE(b.read("xkey-softpurge", "t") && b.soft && b.count == 1);
    EXPECT_TRUE(c.read("Fastly-Soft-Purge", "0") && !c.soft);
}

TEST(PurgeField, with_too_many_tags_is_refused) {
    Asked s("PURGE", 2);
    EXPECT_TRUE(s.read("xkey", "a b"));
    EXPECT_EQ(read_purge_field(&s.purge, "xkey", "c"), FieldRead::kTooManyTags);
}

TEST(PurgeField, of_tags_that_nothing_carries_is_refused) {
    Asked s;
    EXPECT_EQ(read_purge_field(&s.purge, "X-Cache-Tags", "a"), FieldRead::kRefused);
    EXPECT_NE(s.purge.complaint.find("slab_cache_tags"), Bytes::npos);
    s.purge.has_own_tags = true;
    EXPECT_TRUE(s.read("X-Cache-Tags", "a"));
}

TEST(PurgeNames, the_url_counts_where_no_tags_are_named) {
    Asked s;
    Asked keys("PURGEKEYS");
    Url url;
    EXPECT_EQ(purge_names(s.purge), PurgeNames::kUrl);
    EXPECT_EQ(purge_names(keys.purge), PurgeNames::kNothing);
    EXPECT_TRUE(select_own_url(&s.purge, "h", "/%61/*", &url));
    EXPECT_TRUE(has(s, prefix_selector("h", "/a/", kSecret)));
    EXPECT_EQ(url.path, "/a/*");
}

TEST(Tag, with_what_tags_are_split_on_is_none) {
    for (const Bytes text : {Bytes(""), Bytes("a b"), Bytes("a,b"), Bytes("a\tb"), Bytes(" a"), Bytes("a\n")}) {
        EXPECT_FALSE(is_tag(text)) << text;
    }
    EXPECT_TRUE(is_tag("a:b/c|d"));
}

// ---- JSON ----------------------------------------------------------------------------------------------------

std::string refusal(Bytes body) {
    Selected s;
    Problem problem;
    return read_purge_json(body, &s, &problem) ? std::string("none") : std::string(problem.view());
}

TEST(PurgeJson, selects_what_it_lists) {
    Selected s;
    Problem problem;
    ASSERT_TRUE(read_purge_json(
        R"({"urls":["/a"],"files":[{"url":"h/b"}],"prefixes":["h/c/"],"hosts":["h"],"tags":["t"],
        "globs":["h/*x"],"all":true,"mode":"soft"})",
        &s, &problem));
    EXPECT_TRUE(s.accepted == 7 && s.count == 6 && s.glob_count == 1 && s.all && s.soft);
    EXPECT_TRUE(has(s, url_selector({"asker", "/a", ""}, kSecret)));
    EXPECT_TRUE(has(s, url_selector({"h", "/b", ""}, kSecret)));
}

TEST(PurgeJson, says_what_is_wrong_and_where) {
    EXPECT_EQ(refusal("[]"), "the body must be a JSON object");
    EXPECT_EQ(refusal(R"({"urls":"a"})"), "\"urls\" must be a list of strings");
    EXPECT_EQ(refusal(R"({"tags":["a",7]})"), "\"tags\"[1] must be a string");
    EXPECT_EQ(refusal(R"({"hosts":["a/b"]})"), "\"hosts\"[0] is no host name");
    EXPECT_EQ(refusal(R"({"all":1})"), "\"all\" must be true or false");
    EXPECT_EQ(refusal(R"({"tags":["a"],"mode":"x"})"), "\"mode\" must be \"hard\" or \"soft\"");
    EXPECT_EQ(refusal(R"({"tags":["a"],"mode":1})"), "\"mode\" must be \"hard\" or \"soft\"");
    EXPECT_EQ(refusal(R"({"tag":["a"]})"),
              "unknown field \"tag\": urls, prefixes, hosts, tags, tags_all with not, globs, all, mode are known, and "
              "files and purge_everything");
    EXPECT_EQ(refusal(R"({"tags":[],"all":false})"), "nothing to purge in the body");
    EXPECT_EQ(refusal("").substr(0, 10), "not JSON: ");
    EXPECT_EQ(refusal(R"({"tags":["a"],"tags":["b"]})").substr(0, 10), "not JSON: ");
}

TEST(PurgeJson, cuts_what_it_says_to_its_room) {
    EXPECT_EQ(refusal("{\"" + std::string(1000, 'x') + "\":1}").size(), sizeof(Problem::text));
}

TEST(PurgeJson, refuses_where_memory_runs_out) {
    test::Memory memory(0);
    Selection s = test::selection_in(&memory);
    Problem problem;
    EXPECT_FALSE(read_purge_json(R"({"tags":["a"]})", &s, &problem));
    EXPECT_EQ(problem.view(), "out of memory");
}

TEST(SurrogateKeys, are_the_one_list_of_their_object) {
    std::string seen;
    const auto put = [](Bytes key, void* to) noexcept {
        *static_cast<std::string*>(to) += std::string(key) + ";";
        return key != "stop";
    };
    EXPECT_TRUE(read_surrogate_keys(R"({"surrogate_keys":["a","b"]})", put, &seen));
    EXPECT_EQ(seen, "a;b;");
    for (const Bytes body :
         {Bytes(R"({"surrogate_keys":["stop","c"]})"), Bytes(R"({"surrogate_keys":[1]})"), Bytes("[]"), Bytes(""),
          Bytes(R"({"surrogate_keys":["a"],"x":1})"), Bytes(R"({"surrogate_keys":"a"})")}) {
        EXPECT_FALSE(read_surrogate_keys(body, put, &seen)) << body;
    }
}

}  // namespace
}  // namespace slab_cache::cache
