#include "http/reuse.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "builder.h"

namespace slab_cache::http {
namespace {

StoredFacts stored(const Message& message, const Policy& policy = {}) {
    const Response from = response(200, message);
    return facts_of(from, evaluate_freshness(from, policy, 0));
}

ReuseKind kind_at(const Message& message, int64_t later, const Policy& policy = {}, const Request& request = {}) {
    return reuse(stored(message, policy), request, policy, kNow + later).kind;
}

constexpr const char* kMinute = "Cache-Control: max-age=60";

TEST(AgeOut, is_the_age_received_plus_the_time_resident) {
    EXPECT_EQ(current_age(stored({kMinute, "Age: 30"}), kNow + 7), 37);
    EXPECT_EQ(current_age(stored({kMinute}), kNow + 7), 7);
}

TEST(AgeOut, counts_from_the_request_not_from_the_answer) {
    const Message message({kMinute});
    const Response slow{200, message, kNow - 5, kNow};
    EXPECT_EQ(current_age(facts_of(slow, evaluate_freshness(slow, {}, 0)), kNow), 5);
}

TEST(AgeOut, neither_falls_below_zero_nor_wraps) {
    StoredFacts facts{};
    facts.born_at = kNow + 10;
    EXPECT_EQ(current_age(facts, kNow), 0);
    facts.born_at = INT64_MIN;
    EXPECT_EQ(current_age(facts, INT64_MAX), kDeltaMax);
}

TEST(ReuseRule, fresh_until_the_lifetime_is_used_up) {
    EXPECT_EQ(kind_at({kMinute}, 59), ReuseKind::kFresh);
    EXPECT_NE(kind_at({kMinute}, 60), ReuseKind::kFresh);
}

TEST(ReuseRule, stale_while_revalidate_holds_within_its_window_and_never_after) {
    const Message message({"Cache-Control: max-age=60, stale-while-revalidate=10"});
    EXPECT_EQ(kind_at(message, 60), ReuseKind::kStaleWhileRevalidate);
    EXPECT_EQ(kind_at(message, 69), ReuseKind::kStaleWhileRevalidate);
    EXPECT_EQ(kind_at(message, 70), ReuseKind::kStaleIfErrorOnly);
}

TEST(ReuseRule, after_the_windows_only_revalidation_is_left) {
    const Message message({"Cache-Control: max-age=60, stale-if-error=10"});
    EXPECT_EQ(kind_at(message, 69), ReuseKind::kStaleIfErrorOnly);
    EXPECT_EQ(kind_at(message, 70), ReuseKind::kRevalidate);
}

TEST(ReuseRule, must_revalidate_and_s_maxage_let_the_error_through) {
    EXPECT_EQ(kind_at({"Cache-Control: max-age=60, must-revalidate"}, 61), ReuseKind::kRevalidate);
    EXPECT_EQ(kind_at({"Cache-Control: s-maxage=60"}, 61), ReuseKind::kRevalidate);
}

TEST(ReuseRule, updating_as_the_operator_wrote_it_serves_stale_at_once_where_stale_is_allowed) {
    Policy policy;
    policy.stale_at_once = true;
    EXPECT_EQ(kind_at({kMinute}, 61, policy), ReuseKind::kStaleWhileRevalidate);
    EXPECT_EQ(kind_at({kMinute}, 60 + 3600, policy), ReuseKind::kRevalidate);
    EXPECT_EQ(kind_at({"Cache-Control: max-age=60, stale-while-revalidate=5"}, 66, policy),
              ReuseKind::kStaleIfErrorOnly);
    EXPECT_EQ(kind_at({"Cache-Control: max-age=60, must-revalidate"}, 61, policy), ReuseKind::kRevalidate);
    EXPECT_EQ(kind_at({"Cache-Control: no-cache, max-age=60", "ETag: x"}, 1, policy), ReuseKind::kRevalidate);
    policy.use_stale &= ~uint32_t{kStaleUpdating};
    EXPECT_EQ(kind_at({kMinute}, 61, policy), ReuseKind::kStaleIfErrorOnly);
}

TEST(ReuseRule, no_cache_revalidates_at_every_use) {
    EXPECT_EQ(kind_at({"Cache-Control: no-cache, max-age=60", "ETag: \"a\""}, 0), ReuseKind::kRevalidate);
}

TEST(ReuseRule, a_request_with_authorization_gets_only_what_may_be_shared) {
    Request request;
    request.has_authorization = true;
    EXPECT_EQ(kind_at({kMinute}, 0, {}, request), ReuseKind::kNo);
    EXPECT_EQ(kind_at({"Cache-Control: max-age=60, public"}, 0, {}, request), ReuseKind::kFresh);
    EXPECT_EQ(reuse(stored({kMinute}), request, {}, kNow).reason, Reason::kAuthorization);
}

TEST(ReuseRule, any_bit_pattern_gives_an_answer) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 20000; i++) {
        StoredFacts facts;
        uint64_t words[6];
        for (uint64_t& word : words) {
            word = random() >> (random() % 64);
        }
        std::memcpy(&facts, words, sizeof(facts));
        const int64_t now = static_cast<int64_t>(random());
        const Reuse found = reuse(facts, {}, {}, now);
        ASSERT_LE(static_cast<int>(found.kind), static_cast<int>(ReuseKind::kNo));
        ASSERT_GE(current_age(facts, now), 0);
        ASSERT_GE(useful_until(facts), facts.fresh_until);
        (void) may_serve_stale(facts, kStaleError, {}, now);
    }
}

// ---- stale on errors: RFC 5861 §4, slab_cache_use_stale

bool serves_stale(const Message& message, StaleOn failure, const Policy& policy, int64_t later = 61) {
    return may_serve_stale(stored(message, policy), failure, policy, kNow + later);
}

Policy use_stale(uint32_t mask) {
    Policy policy;
    policy.use_stale = mask;
    return policy;
}

TEST(StaleOnError, use_stale_covers_what_it_lists) {
    EXPECT_TRUE(serves_stale({kMinute}, kStaleError, use_stale(kStaleError)));
    EXPECT_FALSE(serves_stale({kMinute}, kStaleTimeout, use_stale(kStaleError)));
    EXPECT_TRUE(serves_stale({kMinute}, kStaleHttp404, use_stale(kStaleHttp404)));
}

TEST(StaleOnError, use_stale_ends_with_the_operators_window) {
    EXPECT_TRUE(serves_stale({kMinute}, kStaleError, {}, 60 + 3599));
    EXPECT_FALSE(serves_stale({kMinute}, kStaleError, {}, 60 + 3600));
}

TEST(StaleOnError, stale_if_error_covers_errors_and_5xx_without_use_stale) {
    const Message message({"Cache-Control: max-age=60, stale-if-error=10"});
    for (const StaleOn failure : {kStaleError, kStaleTimeout, kStaleInvalidHeader, kStaleHttp500, kStaleHttp502,
                                  kStaleHttp503, kStaleHttp504, kStaleHttp5xx}) {
        EXPECT_TRUE(serves_stale(message, failure, use_stale(kStaleOff))) << failure;
    }
    EXPECT_FALSE(serves_stale(message, kStaleHttp404, use_stale(kStaleOff)));
    EXPECT_FALSE(serves_stale(message, kStaleError, use_stale(kStaleOff), 70));
}

TEST(StaleOnError, must_revalidate_proxy_revalidate_s_maxage_and_no_cache_forbid_it) {
    for (const char* value :
         {"max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60", "max-age=60, no-cache"}) {
        EXPECT_FALSE(serves_stale({"Cache-Control: stale-if-error=99, " + std::string(value)}, kStaleError, {}))
            << value;
    }
}

TEST(StaleOnError, a_word_of_the_operator_overcomes_them_within_the_window_but_not_no_cache) {
    Policy forced;
    forced.stale_forced = true;
    for (const char* value : {"max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60"}) {
        const StoredFacts facts = stored({"Cache-Control: " + std::string(value)}, forced);
        EXPECT_TRUE(may_serve_stale(facts, kStaleError, forced, facts.fresh_until + 3599)) << value;
        EXPECT_FALSE(may_serve_stale(facts, kStaleError, forced, facts.fresh_until + 3600)) << value;
        EXPECT_FALSE(may_serve_stale(facts, kStaleHttp404, forced, facts.fresh_until)) << value;
        EXPECT_FALSE(may_serve_stale(facts, kStaleError, {}, facts.fresh_until)) << value;
        EXPECT_EQ(reuse(facts, {}, {}, facts.fresh_until).kind, ReuseKind::kRevalidate) << value;
    }
    const StoredFacts facts = stored({"Cache-Control: max-age=60, no-cache", "ETag: \"1\""}, forced);
    EXPECT_FALSE(may_serve_stale(facts, kStaleError, forced, facts.fresh_until));
}

TEST(StaleOnError, must_revalidate_holds_also_where_a_window_is_stored) {
    StoredFacts facts = stored({"Cache-Control: max-age=60, must-revalidate"});
    facts.stale_if_error_until = kNow + 1000;
    EXPECT_FALSE(may_serve_stale(facts, kStaleError, {}, kNow + 61));
    EXPECT_EQ(reuse(facts, {}, {}, kNow + 61).kind, ReuseKind::kRevalidate);
}

TEST(StaleOnError, another_5xx_is_covered_by_stale_if_error_only) {
    EXPECT_FALSE(serves_stale({kMinute}, kStaleHttp5xx, {}));
}

TEST(StaleWhileUpdating, follows_use_stale_where_the_response_names_no_window) {
    EXPECT_TRUE(serves_stale({kMinute}, kStaleUpdating, {}));
    EXPECT_FALSE(serves_stale({kMinute}, kStaleUpdating, use_stale(kStaleError)));
}

TEST(StaleWhileUpdating, ends_with_the_responses_own_window) {
    const Message message({"Cache-Control: max-age=60, stale-while-revalidate=5"});
    EXPECT_TRUE(serves_stale(message, kStaleUpdating, use_stale(kStaleOff), 64));
    EXPECT_FALSE(serves_stale(message, kStaleUpdating, {}, 65));
}

TEST(StaleWhileUpdating, a_lifetime_of_zero_wants_a_word_of_the_response_or_of_the_configuration) {
    for (const char* value : {"Cache-Control: max-age=0", "Expires: 0"}) {
        const StoredFacts facts = stored({value, "ETag: x"});
        EXPECT_FALSE(may_serve_stale(facts, kStaleUpdating, {}, kNow)) << value;
        EXPECT_TRUE(may_serve_stale(facts, kStaleError, {}, kNow)) << value;
        Policy written;
        written.stale_at_once = true;
        EXPECT_TRUE(may_serve_stale(facts, kStaleUpdating, written, kNow)) << value;
    }
    const Message own({"Cache-Control: max-age=0, stale-while-revalidate=5", "ETag: x"});
    EXPECT_TRUE(may_serve_stale(stored(own), kStaleUpdating, {}, kNow + 4));
}

TEST(StaleWhileUpdating, is_forbidden_by_must_revalidate) {
    EXPECT_FALSE(
        serves_stale({"Cache-Control: max-age=60, must-revalidate, stale-while-revalidate=9"}, kStaleUpdating, {}));
}

TEST(StaleOnError, what_is_still_fresh_may_always_be_sent) {
    EXPECT_TRUE(serves_stale({"Cache-Control: s-maxage=60"}, kStaleError, {}, 30));
}

TEST(StaleOnError, statuses_are_failures_by_their_number) {
    EXPECT_EQ(stale_on_status(503), static_cast<uint32_t>(kStaleHttp503));
    EXPECT_EQ(stale_on_status(429), static_cast<uint32_t>(kStaleHttp429));
    EXPECT_EQ(stale_on_status(507), static_cast<uint32_t>(kStaleHttp5xx));
    EXPECT_EQ(stale_on_status(200), 0u);
    EXPECT_EQ(stale_on_status(410), 0u);
}

// ---- how long it is worth its memory

TEST(UsefulTime, ends_with_the_last_window) {
    EXPECT_EQ(useful_until(stored({"Cache-Control: max-age=60, stale-while-revalidate=10, "
                                   "stale-if-error=20"})),
              kNow + 80);
}

TEST(UsefulTime, is_longer_for_what_a_304_can_renew) {
    const std::string day = "Cache-Control: max-age=86400";
    EXPECT_EQ(useful_until(stored({day, "ETag: \"a\""})), kNow + 2 * 86400);
    EXPECT_EQ(useful_until(stored({"Cache-Control: no-cache", "ETag: \"a\""})), kNow + 3600);
}

}  // namespace
}  // namespace slab_cache::http
