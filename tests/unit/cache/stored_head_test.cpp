// The response header as it lies in the zone: what goes in comes out, and nonsense is a miss.
#include "cache/stored_head.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace slab_cache::cache {
namespace {

const http::StoredFacts kFacts = {1800000060, 1800000120, 1800003660,
                                  1799999990, 1800000000, http::fact::kHasValidator | http::fact::kOwnStaleIfError,
                                  200,        0};

struct Line {
    std::string name, value;
};

std::string head_of(const std::vector<Line>& lines, http::StoredFacts facts = kFacts,
                    int64_t last_modified = 1700000000) {
    std::string buffer(64 * 1024, '\0');
    HeadBuilder b(buffer.data(), buffer.size());
    for (const Line& l : lines) {
        b.add(l.name, l.value);
    }
    return b.finish(facts.status, last_modified, facts) ? std::string(b.head()) : std::string();
}

const std::vector<Line> kLines = {{"Content-Type", "text/html; charset=utf-8"},
                                  {"etag", "\"1\""},
                                  {"X-Thing", "a"},
                                  {"X-Thing", ""},
                                  {"CACHE-CONTROL", "max-age=60"}};

TEST(Head, gives_back_the_fields_in_their_order_and_spelling) {
    const std::string head = head_of(kLines);
    StoredResponse r;
    ASSERT_TRUE(decode_head(head, &r));
    std::vector<std::string> got;
    StoredField f;
    for (Bytes rest = r.fields; next_field(&rest, &f);) {
        got.push_back(std::string(f.name) + ": " + std::string(f.value));
    }
    EXPECT_EQ(got, (std::vector<std::string>{"Content-Type: text/html; charset=utf-8", "etag: \"1\"", "X-Thing: a",
                                             "X-Thing: ", "CACHE-CONTROL: max-age=60"}));
}

TEST(Head, knows_the_lower_case_name_of_any_spelling) {
    const std::string head = head_of(kLines);
    StoredResponse r;
    ASSERT_TRUE(decode_head(head, &r));
    StoredField f;
    for (Bytes rest = r.fields; next_field(&rest, &f);) {
        EXPECT_TRUE(base::equal_nocase(f.name, f.lowcase));
        EXPECT_EQ(std::string(f.lowcase).find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), std::string::npos);
    }
}

TEST(Head, finds_the_fields_a_hit_needs) {
    StoredResponse r;
    const std::string head = head_of({{"ETag", "\"1\""},
                                      {"Vary", "Accept"},
                                      {"Date", "d"},
                                      {"Last-Modified", "l"},
                                      {"Content-Type", "text/html ; x=y"}});
    ASSERT_TRUE(decode_head(head, &r));
    EXPECT_EQ(r.etag, "\"1\"");
    EXPECT_EQ(r.vary, "Accept");
    EXPECT_EQ(r.date, "d");
    EXPECT_EQ(r.last_modified, "l");
    EXPECT_EQ(r.content_type.size(), 15u);
    EXPECT_EQ(r.content_type_len, 9u) << "without parameters";
}

TEST(Head, gives_back_the_facts) {
    HeadFixed f;
    ASSERT_TRUE(decode_facts(head_of(kLines), &f));
    EXPECT_EQ(std::memcmp(&f.facts, &kFacts, sizeof(kFacts)), 0);
    EXPECT_EQ(f.last_modified, 1700000000);
    EXPECT_EQ(f.status, 200);
}

TEST(Head, without_a_last_modified_has_none) {
    HeadFixed f;
    ASSERT_TRUE(decode_facts(head_of(kLines, kFacts, -1), &f));
    EXPECT_EQ(f.last_modified, -1);
    ASSERT_TRUE(decode_facts(head_of(kLines, kFacts, int64_t{1} << 40), &f));
    EXPECT_EQ(f.last_modified, -1);
    ASSERT_TRUE(decode_facts(head_of(kLines, kFacts, 0), &f));
    EXPECT_EQ(f.last_modified, 0);
}

TEST(Head, keeps_times_beyond_32_bits_on_their_side_of_now) {
    http::StoredFacts far = kFacts;
    far.fresh_until = -5;
    far.stale_while_until = INT64_MIN;
    far.stale_if_error_until = INT64_MAX;
    HeadFixed f;
    ASSERT_TRUE(decode_facts(head_of(kLines, far), &f));
    EXPECT_LT(f.facts.fresh_until, 1800000000);
    EXPECT_LT(f.facts.stale_while_until, 1800000000);
    EXPECT_GT(f.facts.stale_if_error_until, 1800000000);
}

TEST(Head, keeps_the_age_of_what_was_born_before_1970) {
    http::StoredFacts old = kFacts;
    old.born_at = kFacts.date - http::kDeltaMax;
    HeadFixed f;
    ASSERT_TRUE(decode_facts(head_of(kLines, old), &f));
    EXPECT_EQ(f.facts.born_at, old.born_at);
}

TEST(Head, costs_32_bytes_beside_its_fields) {
    EXPECT_EQ(head_of({}).size(), 32u);
    EXPECT_EQ(head_of({{"ETag", "\"1\""}}).size(), 32u + 1 + 2 + 3);
}

TEST(Head, that_is_cut_anywhere_is_nonsense) {
    const std::string head = head_of(kLines);
    for (size_t n = 0; n < head.size(); n++) {
        const std::string cut = head.substr(0, n);  // a copy: a sanitizer sees reads beyond
        StoredResponse r;
        EXPECT_FALSE(decode_head(cut, &r)) << n;
    }
    StoredResponse r;
    EXPECT_FALSE(decode_head(head + "x", &r));
}

TEST(Head, with_any_byte_changed_is_read_within_its_bounds) {
    const std::string head = head_of(kLines);
    uint32_t readable = 0;
    for (size_t i = 0; i < head.size(); i++) {
        for (int x = 0; x < 256; x++) {
            std::string bad = head;
            bad[i] = static_cast<char>(x);
            StoredResponse r;
            if (decode_head(bad, &r)) {
                readable++;
                StoredField f;
                for (Bytes rest = r.fields; next_field(&rest, &f);) {
                    ASSERT_LE(f.value.data() + f.value.size(), bad.data() + bad.size());
                }
            }
        }
    }
    EXPECT_GT(readable, 0u);
}

TEST(Head, of_another_version_or_without_a_status_is_nonsense) {
    std::string head = head_of(kLines);
    HeadFixed f;
    head[0] = static_cast<char>(head[0] + 1);
    EXPECT_FALSE(decode_facts(head, &f));
    http::StoredFacts odd = kFacts;
    odd.status = 99;
    EXPECT_FALSE(decode_facts(head_of(kLines, odd), &f));
}

TEST(Head, that_does_not_fit_is_refused) {
    char small[40];
    HeadBuilder b(small, sizeof(small));
    b.add("Content-Type", "text/html");
    EXPECT_FALSE(b.finish(200, -1, kFacts));
    HeadBuilder none(small, 31);
    EXPECT_FALSE(none.finish(200, -1, kFacts));
    EXPECT_EQ(head_of({{"X", std::string(70000, 'x')}}), "");
    EXPECT_EQ(head_of({{"", "x"}}), "");
    EXPECT_EQ(head_of({{std::string(256, 'n'), "x"}}), "");
}

TEST(KnownNames, are_found_in_any_spelling) {
    EXPECT_EQ(known("content-TYPE"), Known::kContentType);
    EXPECT_EQ(known("Content-Typ"), Known::kOther);
    EXPECT_EQ(known(""), Known::kOther);
}

}  // namespace
}  // namespace slab_cache::cache
