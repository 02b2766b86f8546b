#include "http/vary.h"

#include <gtest/gtest.h>

#include "builder.h"

namespace slab_cache::http {
namespace {

std::string spec(const Message& response, const VaryPolicy& policy = {}) {
    char out[512];
    const VarySpec found = build_vary_spec(response, policy, out, sizeof(out));
    return found.star ? "*" : std::string(out, found.length);
}

std::string key(const std::string& spec, const Message& request, const VaryPolicy& policy = {}) {
    std::string out(build_vary_key(spec, request, policy, nullptr, 0), '\0');
    EXPECT_EQ(build_vary_key(spec, request, policy, out.data(), out.size()), out.size());
    return out;
}

uint8_t encodings(const std::string& value) { return accepted_encodings(Message({"Accept-Encoding: " + value})); }

TEST(VarySpec, is_sorted_unique_and_lower_case) {
    EXPECT_EQ(spec({"Vary: Foo, accept", "Vary: ACCEPT,, bar"}), "accept,bar,foo");
}

TEST(VarySpec, without_vary_there_are_no_variants) { EXPECT_EQ(spec({}), ""); }

TEST(VarySpec, a_star_in_any_line_as_any_member_is_never_reused) {
    EXPECT_EQ(spec({"Vary: *"}), "*");
    EXPECT_EQ(spec({"Vary: Foo", "Vary: Bar, *"}), "*");
    EXPECT_EQ(spec({"Vary: *, Foo"}), "*");
}

TEST(VarySpec, a_member_that_is_no_field_name_counts_as_a_star) {
    EXPECT_EQ(spec({"Vary: Foo Bar"}), "*");
    EXPECT_EQ(spec({"Vary: \"Foo\""}), "*");
}

TEST(VarySpec, more_names_than_can_be_kept_count_as_a_star) {
    std::string names = "a";
    for (uint32_t i = 1; i <= kMaxVaryNames; i++) {
        names += ",n" + std::to_string(i);
    }
    EXPECT_EQ(spec({"Vary: " + names}), "*");
}

TEST(VarySpec, leaves_out_what_the_operator_ignores) {
    const Bytes ignored[] = {"user-agent"};
    VaryPolicy policy;
    policy.ignore = ignored;
    policy.ignore_count = 1;
    EXPECT_EQ(spec({"Vary: User-Agent, Foo"}, policy), "foo");
}

TEST(VarySpec, is_empty_when_variants_are_off_but_a_star_still_holds) {
    VaryPolicy policy;
    policy.off = true;
    EXPECT_EQ(spec({"Vary: Foo"}, policy), "");
    EXPECT_EQ(spec({"Vary: *"}, policy), "*");
}

TEST(VarySpec, tells_the_length_it_needs) {
    EXPECT_EQ(build_vary_spec(Message({"Vary: foo, bar"}), {}, nullptr, 0).length, 7u);
}

TEST(VaryKey, absent_matches_only_absent) {
    EXPECT_EQ(key("foo", {}), key("foo", {"Bar: 1"}));
    EXPECT_NE(key("foo", {}), key("foo", {"Foo: "}));
    EXPECT_NE(key("foo", {"Foo: "}), key("foo", {"Foo: 1"}));
}

TEST(VaryKey, lines_are_combined_and_blanks_around_commas_dropped) {
    EXPECT_EQ(key("foo", {"Foo: 1", "Foo: 2"}), key("foo", {"Foo: 1, 2"}));
    EXPECT_EQ(key("foo", {"Foo: 1 ,\t2"}), key("foo", {"foo: 1,2"}));
    EXPECT_NE(key("foo", {"Foo: 1, 2"}), key("foo", {"Foo: 2, 1"}));
}

TEST(VaryKey, blanks_inside_quoted_strings_count) {
    EXPECT_NE(key("foo", {"Foo: \"1, 2\""}), key("foo", {"Foo: \"1,2\""}));
}

TEST(VaryKey, case_counts_but_for_accept_language) {
    EXPECT_NE(key("foo", {"Foo: A"}), key("foo", {"Foo: a"}));
    EXPECT_EQ(key("accept-language", {"Accept-Language: EN, De"}), key("accept-language", {"Accept-Language: en,de"}));
}

TEST(VaryKey, values_cannot_run_into_each_other) {
    EXPECT_NE(key("a,b", {"A: 1", "B: 23"}), key("a,b", {"A: 12", "B: 3"}));
    EXPECT_NE(key("a,b", {"A: 1"}), key("a,b", {"B: 1"}));
}

TEST(VaryKey, accept_encoding_is_the_set_of_stored_encodings) {
    EXPECT_EQ(key("accept-encoding", {"Accept-Encoding: gzip, deflate, br"}),
              key("accept-encoding", {"Accept-Encoding: br;q=0.5,gzip"}));
    EXPECT_NE(key("accept-encoding", {"Accept-Encoding: gzip"}), key("accept-encoding", {}));
    EXPECT_NE(key("accept-encoding", {"Accept-Encoding: "}), key("accept-encoding", {}));
}

TEST(VaryKey, a_cookie_can_be_reduced_to_named_ones) {
    const Bytes names[] = {"lang", "theme"};
    VaryPolicy policy;
    policy.cookies = names;
    policy.cookie_count = 2;
    EXPECT_EQ(key("cookie", {"Cookie: sid=1; lang=de"}, policy), key("cookie", {"Cookie: lang=de; sid=2"}, policy));
    EXPECT_NE(key("cookie", {"Cookie: lang=de"}, policy), key("cookie", {"Cookie: lang=en"}, policy));
    EXPECT_NE(key("cookie", {"Cookie: lang=a"}, policy), key("cookie", {"Cookie: theme=a"}, policy));
    EXPECT_NE(key("cookie", {"Cookie: lang="}, policy), key("cookie", {"Cookie: x=y"}, policy));
    EXPECT_EQ(key("cookie", {"Cookie: xlang=de"}, policy), key("cookie", {}, policy));
}

// Which of two a server takes, and what it takes for a name, differs: Django takes the last, and drops blanks. Whoever
// is "absent" here and somebody there would show his page to strangers.
TEST(VaryKey, a_cookie_sent_twice_or_under_an_odd_spelling_is_none_of_the_plain_ones) {
    VaryPolicy policy;
    const Bytes names[] = {"my_sid"};
    policy.cookies = names;
    policy.cookie_count = 1;
    const char* plain[] = {"Cookie: a=1", "Cookie: my_sid=", "Cookie: my_sid=1", "Cookie: my_sid=2"};
    const char* odd[] = {"Cookie: my_sid=1; my_sid=2", "Cookie: my_sid=2; my_sid=1",
                         "Cookie: my_sid=1; my_sid=1", "Cookie: my_sid =1",
                         "Cookie: my_sid\t=1",         "Cookie: \x1fmy_sid=1",
                         "Cookie: my_sid\xa0=1",       "Cookie: my.sid=1",
                         "Cookie: my sid=1",           "Cookie: my_sid",
                         "Cookie: a=1,my_sid=1",       "Cookie: a=1, my_sid =1",
                         "Cookie: \"my_sid\"=1",       "Cookie: my[sid=1"};
    for (const char* o : odd) {
        for (const char* p : plain) {
            EXPECT_NE(key("cookie", {o}, policy), key("cookie", {p}, policy)) << o << " and " << p;
        }
        for (const char* other : odd) {
            EXPECT_EQ(key("cookie", {o}, policy) == key("cookie", {other}, policy), o == other)
                << o << " and " << other;
        }
    }
    EXPECT_EQ(key("cookie", {"Cookie: my_sid=1; b=2", "Cookie: my_sid=2"}, policy), key("cookie", {odd[0]}, policy));
}

TEST(VaryKey, a_cookie_counts_whole_without_reduction) {
    EXPECT_NE(key("cookie", {"Cookie: sid=1"}), key("cookie", {"Cookie: sid=2"}));
}

TEST(VaryKey, writes_nothing_beyond_the_buffer) {
    const Message request({"Foo: 123456789"});
    const size_t needed = build_vary_key("foo", request, {}, nullptr, 0);
    for (size_t cap = 0; cap <= needed; cap++) {
        std::string out(needed + 8, '#');
        EXPECT_EQ(build_vary_key("foo", request, {}, out.data(), cap), needed);
        EXPECT_EQ(out.substr(cap), std::string(needed + 8 - cap, '#')) << cap;
    }
}

TEST(AcceptedEncodings, q_zero_refuses) {
    EXPECT_EQ(encodings("gzip;q=0, br"), kAcceptsBrotli);
    EXPECT_EQ(encodings("gzip; q=0.000"), 0);
    EXPECT_EQ(encodings("gzip;q=0.001"), kAcceptsGzip);
    EXPECT_EQ(encodings("gzip;Q=0"), 0);
}

TEST(AcceptedEncodings, a_star_stands_for_what_is_not_named) {
    EXPECT_EQ(encodings("*"), kAcceptsGzip | kAcceptsBrotli | kAcceptsZstd);
    EXPECT_EQ(encodings("br;q=0, *"), kAcceptsGzip | kAcceptsZstd);
    EXPECT_EQ(encodings("gzip, *;q=0"), kAcceptsGzip | kRefusesIdentity);
}

TEST(AcceptedEncodings, identity_is_refused_only_by_name_or_star) {
    EXPECT_EQ(encodings("gzip, identity;q=0"), kAcceptsGzip | kRefusesIdentity);
    EXPECT_EQ(encodings("gzip, identity, *;q=0"), kAcceptsGzip);
}

TEST(AcceptedEncodings, x_gzip_is_gzip_and_unknown_ones_are_no_variants) {
    EXPECT_EQ(encodings("X-GZIP"), kAcceptsGzip);
    EXPECT_EQ(encodings("deflate, compress, zstd"), kAcceptsZstd);
}

TEST(TakesEncoding, is_true_of_what_the_request_names_and_of_identity) {
    const Message request{"Accept-Encoding: gzip, br;q=0"};
    EXPECT_TRUE(takes_encoding(request, "GZIP"));
    EXPECT_TRUE(takes_encoding(request, "identity"));
    EXPECT_TRUE(takes_encoding(request, ""));
    EXPECT_FALSE(takes_encoding(request, "br"));
    EXPECT_FALSE(takes_encoding(request, "zstd"));
    EXPECT_FALSE(takes_encoding(request, "deflate"));
    EXPECT_FALSE(takes_encoding(Message(), "gzip"));
}

}  // namespace
}  // namespace slab_cache::http
