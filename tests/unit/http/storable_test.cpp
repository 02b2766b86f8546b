#include "http/storable.h"

#include <gtest/gtest.h>

#include "builder.h"

namespace slab_cache::http {
namespace {

Reason why_not(const Message& message, const Policy& policy = {}, uint16_t status = 200, const Request& request = {}) {
    const Response from = response(status, message);
    return storable(request, from, evaluate_freshness(from, policy, 0), policy).reason;
}

Request by(Method method) {
    Request request;
    request.method = method;
    return request;
}

Request authorized() {
    Request request;
    request.has_authorization = true;
    return request;
}

constexpr const char* kMaxAge = "Cache-Control: max-age=60";
constexpr const char* kEtag = "ETag: \"1\"";

// ---- what is asked

TEST(StorableRequest, only_listed_methods_use_the_cache) {
    EXPECT_EQ(may_use_cache(by(Method::kPost), {}).reason, Reason::kMethod);
    EXPECT_EQ(may_use_cache(by(Method::kQuery), {}).reason, Reason::kMethod);
    Policy policy;
    policy.methods |= kCacheQuery;
    EXPECT_TRUE(may_use_cache(by(Method::kQuery), policy));
    EXPECT_TRUE(may_use_cache(by(Method::kHead), policy));
}

TEST(StorableRequest, a_get_with_a_body_is_never_stored) {
    Request request;
    request.has_body = true;
    EXPECT_EQ(why_not({kMaxAge}, {}, 200, request), Reason::kRequestBody);
}

TEST(StorableRequest, a_query_has_a_body) {
    Policy policy;
    policy.methods = kCacheQuery;
    Request request = by(Method::kQuery);
    request.has_body = true;
    EXPECT_EQ(why_not({kMaxAge}, policy, 200, request), Reason::kNone);
}

TEST(StorableRequest, an_upgrade_is_none_of_our_business) {
    Request request;
    request.wants_websocket = true;
    EXPECT_EQ(why_not({kMaxAge}, {}, 200, request), Reason::kUpgrade);
}

TEST(StorableRequest, the_answer_to_a_head_is_not_stored) {
    EXPECT_EQ(why_not({kMaxAge}, {}, 200, by(Method::kHead)), Reason::kMethod);
}

TEST(StorableRequest, the_answer_to_a_head_is_stored_where_it_is_for_heads_alone) {
    Request request = by(Method::kHead);
    request.is_head_apart = true;
    EXPECT_EQ(why_not({kMaxAge}, {}, 200, request), Reason::kNone);
}

// ---- status: RFC 9111 §3

TEST(StorableStatus, every_final_status_with_explicit_freshness_is_storable) {
    for (uint16_t status = 200; status < 600; status++) {
        const bool never = status == 206 || status == 304;
        EXPECT_EQ(why_not({kMaxAge}, {}, status) == Reason::kNone, !never) << status;
    }
}

TEST(StorableStatus, an_interim_status_is_never_stored) {
    EXPECT_EQ(why_not({kMaxAge}, {}, 100), Reason::kStatus);
    EXPECT_EQ(why_not({kMaxAge}, {}, 103), Reason::kStatus);
}

TEST(StorableStatus, a_206_is_stored_as_the_slice_that_was_asked_for_and_else_never) {
    EXPECT_EQ(why_not({kMaxAge}, {}, 206), Reason::kPartial);
    EXPECT_EQ(why_not({kMaxAge, "Content-Range: bytes 0-99/1000"}, {}, 206), Reason::kPartial);
    const ByteRange slice{0, 99};
    Request request;
    request.slice = &slice;
    EXPECT_EQ(why_not({kMaxAge, kEtag, "Content-Range: bytes 0-99/1000"}, {}, 206, request), Reason::kNone);
    EXPECT_EQ(why_not({kMaxAge, kEtag, "Content-Range: bytes 0-98/1000"}, {}, 206, request), Reason::kPartial);
    EXPECT_EQ(why_not({kMaxAge, kEtag, "Content-Range: bytes 100-199/1000"}, {}, 206, request), Reason::kPartial);
    EXPECT_EQ(why_not({kMaxAge, kEtag}, {}, 206, request), Reason::kPartial);
    EXPECT_EQ(why_not({kEtag, "Content-Range: bytes 0-99/1000"}, {}, 206, request), Reason::kNoFreshness);
    EXPECT_EQ(why_not({kMaxAge}, {}, 200, request), Reason::kNone);
}

TEST(StorableStatus, a_slice_without_a_validator_is_stored_only_where_slab_cache_valid_names_206) {
    const ByteRange slice{0, 99};
    Request request;
    request.slice = &slice;
    const char* const range = "Content-Range: bytes 0-99/1000";
    EXPECT_EQ(why_not({kMaxAge, range}, {}, 206, request), Reason::kPartial);
    EXPECT_EQ(why_not({kMaxAge, range, "Last-Modified: Mon, 23 Nov 2020 08:49:37 GMT"}, {}, 206, request),
              Reason::kNone);
    const ValidRule rules[] = {{206, 60}};
    const ValidRule any[] = {{0, 60}};
    Policy policy;
    policy.valid = any;
    policy.valid_count = 1;
    EXPECT_EQ(why_not({kMaxAge, range}, policy, 206, request), Reason::kPartial);
    policy.valid = rules;
    EXPECT_EQ(why_not({kMaxAge, range}, policy, 206, request), Reason::kNone);
    EXPECT_EQ(why_not({range}, policy, 206, request), Reason::kNone);
}

TEST(StorableStatus, without_explicit_freshness_only_what_slab_cache_valid_covers) {
    const ValidRule rules[] = {{404, 60}};
    Policy policy;
    policy.valid = rules;
    policy.valid_count = 1;
    EXPECT_EQ(why_not({}, policy, 404), Reason::kNone);
    EXPECT_EQ(why_not({}, policy, 200), Reason::kNoFreshness);
}

// ---- prohibitions: RFC 9111 §5.2.2

TEST(StorableResponse, no_store_wins_over_any_lifetime) {
    EXPECT_EQ(why_not({"Cache-Control: s-maxage=60, no-store", "X-Accel-Expires: 60"}), Reason::kNoStore);
}

TEST(StorableResponse, private_wins_over_any_lifetime) {
    EXPECT_EQ(why_not({"Cache-Control: private, s-maxage=60"}), Reason::kPrivate);
}

TEST(StorableResponse, must_understand_lifts_no_store_for_a_status_we_know) {
    const Message message({"Cache-Control: max-age=60, no-store, must-understand"});
    EXPECT_EQ(why_not(message, {}, 200), Reason::kNone);
    EXPECT_EQ(why_not(message, {}, 299), Reason::kNoStore);
}

TEST(StorableResponse, no_cache_needs_a_validator) {
    EXPECT_EQ(why_not({"Cache-Control: no-cache, max-age=60"}), Reason::kNoCache);
    EXPECT_EQ(why_not({"Cache-Control: no-cache, max-age=60", "ETag: \"a\""}), Reason::kNone);
    EXPECT_EQ(why_not({"Cache-Control: no-cache", "Last-Modified: " + date(kNow)}), Reason::kNone);
}

TEST(StorableResponse, x_accel_expires_zero_forbids_storing) {
    EXPECT_EQ(why_not({kMaxAge, "X-Accel-Expires: 0"}), Reason::kAccelExpires);
}

TEST(StorableResponse, a_past_x_accel_expires_keeps_it_to_be_asked_about) {
    EXPECT_EQ(why_not({"X-Accel-Expires: @60"}), Reason::kNone);
    EXPECT_EQ(why_not({"X-Accel-Expires: @60", "Cache-Control: private"}), Reason::kPrivate);
}

TEST(StorableResponse, x_accel_redirect_is_an_answer_like_any_other) {
    EXPECT_EQ(why_not({kMaxAge, "X-Accel-Redirect: /x"}), Reason::kNone);
    EXPECT_EQ(why_not({"X-Accel-Redirect: /x"}), Reason::kNoFreshness);
}

TEST(StorableResponse, set_cookie_is_refused_by_default) {
    EXPECT_EQ(why_not({kMaxAge, "Set-Cookie: a=b"}), Reason::kSetCookie);
}

TEST(StorableResponse, set_cookie_is_stripped_or_stored_where_the_operator_says_so) {
    Policy policy;
    policy.set_cookie = SetCookie::kStrip;
    EXPECT_EQ(why_not({kMaxAge, "Set-Cookie: a=b"}, policy), Reason::kNone);
    EXPECT_FALSE(is_storable_field("Set-Cookie", Fields{}, policy));
    policy.set_cookie = SetCookie::kStore;
    EXPECT_TRUE(is_storable_field("Set-Cookie", Fields{}, policy));
}

TEST(StorableResponse, an_ignored_set_cookie_is_stripped) {
    Policy policy;
    policy.ignore = ignore::kSetCookie;
    EXPECT_EQ(why_not({kMaxAge, "Set-Cookie: a=b"}, policy), Reason::kNone);
    EXPECT_FALSE(is_storable_field("set-cookie", Fields{}, policy));
}

// ---- Authorization: RFC 9111 §3.5

TEST(StorableResponse, authorization_forbids_storing) {
    EXPECT_EQ(why_not({kMaxAge}, {}, 200, authorized()), Reason::kAuthorization);
}

TEST(StorableResponse, public_must_revalidate_and_s_maxage_share_in_spite_of_authorization) {
    for (const char* directive : {"public", "must-revalidate", "s-maxage=60"}) {
        EXPECT_EQ(why_not({"Cache-Control: max-age=60, " + std::string(directive)}, {}, 200, authorized()),
                  Reason::kNone)
            << directive;
    }
}

TEST(StorableResponse, proxy_revalidate_does_not_share_in_spite_of_authorization) {
    EXPECT_EQ(why_not({"Cache-Control: max-age=60, proxy-revalidate"}, {}, 200, authorized()), Reason::kAuthorization);
}

// ---- Vary: RFC 9111 §4.1

TEST(StorableResponse, a_star_anywhere_in_vary_is_not_stored) {
    EXPECT_EQ(why_not({kMaxAge, "Vary: *"}), Reason::kVaryStar);
    EXPECT_EQ(why_not({kMaxAge, "Vary: Accept", "Vary: Cookie, *"}), Reason::kVaryStar);
}

TEST(StorableResponse, an_ignored_vary_does_not_stand_against_storing) {
    Policy policy;
    policy.ignore = ignore::kVary;
    EXPECT_EQ(why_not({kMaxAge, "Vary: *"}, policy), Reason::kNone);
}

TEST(StorableResponse, an_encoding_that_the_key_cannot_tell_apart_is_not_stored) {
    EXPECT_EQ(why_not({kMaxAge, "Vary: accept-encoding", "Content-Encoding: deflate"}), Reason::kVariant);
    EXPECT_EQ(why_not({kMaxAge, "Vary: Accept-Encoding", "Content-Encoding: gzip, br"}), Reason::kVariant);
    EXPECT_EQ(why_not({kMaxAge, "Vary: Accept-Encoding", "Content-Encoding: br"}), Reason::kNone);
    EXPECT_EQ(why_not({kMaxAge, "Content-Encoding: deflate"}), Reason::kNone);
}

// ---- freshness

TEST(StorableResponse, no_freshness_is_not_stored) { EXPECT_EQ(why_not({"ETag: \"a\""}), Reason::kNoFreshness); }

TEST(StorableResponse, stale_on_arrival_is_stored_only_where_it_can_be_of_use) {
    EXPECT_EQ(why_not({"Cache-Control: max-age=0"}), Reason::kAlreadyStale);
    EXPECT_EQ(why_not({kMaxAge, "Age: 60"}), Reason::kAlreadyStale);
    EXPECT_EQ(why_not({"Cache-Control: max-age=0", "ETag: \"a\""}), Reason::kNone);
    EXPECT_EQ(why_not({"Cache-Control: max-age=0, stale-while-revalidate=9"}), Reason::kNone);
    EXPECT_EQ(why_not({"Cache-Control: max-age=0, stale-if-error=9"}), Reason::kNone);
    EXPECT_EQ(why_not({"Cache-Control: max-age=0, stale-if-error=9", "Age: 9"}), Reason::kAlreadyStale);
}

TEST(StorableResponse, an_operators_stale_window_does_not_store_what_is_stale_on_arrival) {
    Policy policy;
    policy.stale_while_sec = 60;
    EXPECT_EQ(why_not({"Cache-Control: max-age=0"}, policy), Reason::kAlreadyStale);
}

TEST(StorableResponse, header_fields_above_their_cap_are_not_stored) {
    Policy policy;
    policy.max_header_bytes = 100;
    EXPECT_EQ(why_not({kMaxAge, "X: " + std::string(100, 'x')}, policy), Reason::kHeadersTooBig);
    EXPECT_EQ(why_not({kMaxAge, "X: " + std::string(50, 'x')}, policy), Reason::kNone);
}

TEST(StorableResponse, tags_are_no_part_of_the_header_that_is_stored) {
    Policy policy;
    policy.max_header_bytes = 100;
    const std::string tags = "Surrogate-Key: " + std::string(1000, 't');
    EXPECT_EQ(why_not({kMaxAge, tags, "X: " + std::string(50, 'x')}, policy), Reason::kNone);
    policy.tags.usual = false;
    EXPECT_EQ(why_not({kMaxAge, tags, "X: " + std::string(50, 'x')}, policy), Reason::kHeadersTooBig);
}

TEST(StorableResponse, that_varies_on_more_names_than_a_key_takes_says_so) {
    std::string vary = "Vary: x0";
    for (int i = 1; i < 32; i++) {
        vary += ", x" + std::to_string(i);
    }
    EXPECT_EQ(why_not({kMaxAge, vary}), Reason::kNone);
    EXPECT_EQ(why_not({kMaxAge, vary + ", y"}), Reason::kKeyTooLong);
    EXPECT_EQ(why_not({kMaxAge, vary + ", *"}), Reason::kVaryStar);
}

TEST(StorableResponse, whose_end_is_told_in_two_ways_is_not_stored) {
    constexpr const char* kFive = "Content-Length: 5";
    EXPECT_EQ(why_not({kMaxAge, kFive, "Content-Length: 6"}), Reason::kFraming);
    EXPECT_EQ(why_not({kMaxAge, "content-length: 5, 6"}), Reason::kFraming);
    EXPECT_EQ(why_not({kMaxAge, kFive, "Transfer-Encoding: chunked"}), Reason::kFraming);
    EXPECT_EQ(why_not({kMaxAge, "transfer-encoding: gzip, chunked", kFive}), Reason::kFraming);
    for (const char* odd :
         {"Content-Length: -5", "Content-Length: 5x", "Content-Length: 5,", "Content-Length:", "Content-Length: 0x5"}) {
        EXPECT_EQ(why_not({kMaxAge, odd}), Reason::kFraming) << odd;
    }
}

TEST(StorableResponse, whose_length_is_said_twice_in_one_way_is_stored) {
    EXPECT_EQ(why_not({kMaxAge, "Content-Length: 5", "Content-Length: 5"}), Reason::kNone);
    EXPECT_EQ(why_not({kMaxAge, "Content-Length: 5, 5"}), Reason::kNone);
    EXPECT_EQ(why_not({kMaxAge, "Transfer-Encoding: chunked"}), Reason::kNone);
}

// ---- fields: RFC 9111 §3.1, RFC 9110 §7.6.1

TEST(StorableField, hop_by_hop_fields_are_not_stored) {
    for (const char* name : {"Connection", "keep-alive", "Proxy-Connection", "TE", "Transfer-Encoding", "Upgrade",
                             "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization"}) {
        EXPECT_FALSE(is_storable_field(name, Bytes{})) << name;
    }
}

TEST(StorableField, what_connection_names_is_not_stored) {
    EXPECT_FALSE(is_storable_field("X-Hop", "close, x-hop"));
    const Message message({"Connection: close", "Connection: X-Hop"});
    EXPECT_FALSE(is_storable_field("x-hop", message, {}));
    EXPECT_TRUE(is_storable_field("X-Other", message, {}));
}

TEST(StorableField, all_others_are_stored_unknown_ones_too) {
    for (const char* name : {"Date", "ETag", "Foo", "Content-Length", "Server", "CDN-Cache-Control"}) {
        EXPECT_TRUE(is_storable_field(name, Bytes{})) << name;
    }
}

TEST(StorableField, age_is_computed_anew_on_each_hit) { EXPECT_FALSE(is_storable_field("AGE", Bytes{})); }

TEST(StorableField, a_field_that_no_cache_names_is_not_stored) {
    const Message message({"Cache-Control: max-age=60, no-cache=\"a\""});
    EXPECT_FALSE(is_storable_field("A", message, {}));
    EXPECT_EQ(why_not({"Cache-Control: max-age=60, no-cache=\"a\"", "A: 1"}), Reason::kNone);
}

// ---- POST: RFC 9110 §9.3.3

bool answers_get(const Message& message, uint16_t status = 200) {
    const Response from = response(status, message);
    return post_answers_get({"http", "h", "/a?b"}, from, evaluate_freshness(from, {}, 0));
}

TEST(PostResponse, with_freshness_and_its_own_uri_as_content_location_answers_gets) {
    EXPECT_TRUE(answers_get({kMaxAge, "Content-Location: http://h/a?b"}));
    EXPECT_TRUE(answers_get({kMaxAge, "Content-Location: /a?b"}));
    EXPECT_TRUE(answers_get({kMaxAge, "Content-Location: a?b"}));
}

TEST(PostResponse, without_freshness_for_another_uri_or_of_what_was_made_does_not) {
    EXPECT_FALSE(answers_get({"Content-Location: /a?b"}));
    EXPECT_FALSE(answers_get({kMaxAge}));
    EXPECT_FALSE(answers_get({kMaxAge, "Content-Location: /a"}));
    EXPECT_FALSE(answers_get({kMaxAge, "Content-Location: http://other/a?b"}));
    EXPECT_FALSE(answers_get({kMaxAge, "Content-Location: https://h/a?b"}));
    EXPECT_FALSE(answers_get({kMaxAge, "Content-Location: /a?b"}, 201));
}

// ---- what replaces what

bool replaces(uint16_t status, const Message& message, int64_t now, const Policy& policy = {}) {
    const Message good({kMaxAge});
    const Response stored = response(200, good);
    const StoredFacts facts = facts_of(stored, evaluate_freshness(stored, policy, 0));
    const Response from = response(status, message);
    return may_replace(status, evaluate_freshness(from, policy, 0), facts, policy, now);
}

TEST(Replacement, an_error_without_freshness_of_its_own_keeps_what_can_still_be_served) {
    EXPECT_FALSE(replaces(500, {}, kNow + 10));
    EXPECT_FALSE(replaces(503, {}, kNow + 60 + 3599));
}

TEST(Replacement, an_error_replaces_what_can_no_longer_be_served) { EXPECT_TRUE(replaces(500, {}, kNow + 60 + 3600)); }

TEST(Replacement, an_error_with_freshness_of_its_own_replaces) { EXPECT_TRUE(replaces(500, {kMaxAge}, kNow + 10)); }

TEST(Replacement, a_404_replaces_unless_use_stale_calls_it_an_error) {
    EXPECT_TRUE(replaces(404, {}, kNow + 10));
    Policy policy;
    policy.use_stale |= kStaleHttp404;
    EXPECT_FALSE(replaces(404, {}, kNow + 10, policy));
}

}  // namespace
}  // namespace slab_cache::http
