#include "http/freshness.h"

#include <gtest/gtest.h>

#include "builder.h"
#include "http/reuse.h"
#include "http/syntax.h"

namespace slab_cache::http {
namespace {

// Seconds that the response stays fresh after kNow; 0 or less is stale on arrival.
int64_t fresh_sec(const Message& message, const Policy& policy = {}, uint16_t status = 200) {
    return freshness(message, policy, status).fresh_until - kNow;
}

Source source(const Message& message, const Policy& policy = {}, uint16_t status = 200) {
    return freshness(message, policy, status).source;
}

Policy ignoring(uint32_t mask) {
    Policy policy;
    policy.ignore = mask;
    return policy;
}

constexpr ValidRule kValid[] = {{404, 60}, {500, 0}, {0, 10}};

Policy with_valid() {
    Policy policy;
    policy.valid = kValid;
    policy.valid_count = 3;
    return policy;
}

// ---- Age in: RFC 9111 §4.2.3, §5.1

TEST(Age, the_age_received_uses_up_the_lifetime) {
    EXPECT_EQ(fresh_sec({"Cache-Control: max-age=100", "Age: 30"}), 70);
}

TEST(Age, a_response_is_stale_once_its_age_reaches_the_lifetime) {
    EXPECT_EQ(fresh_sec({"Cache-Control: max-age=100", "Age: 100"}), 0);
    EXPECT_EQ(fresh_sec({"Cache-Control: max-age=100", "Age: 99"}), 1);
}

TEST(Age, the_first_member_of_the_first_line_counts) {
    EXPECT_EQ(received_age(Message({"Age: 7, 100", "Age: 200"})), 7);
}

TEST(Age, a_value_that_is_no_bare_integer_is_ignored) {
    for (const char* value : {"abc", "-7200", "7200.0", "", "7200;a", "\"7200\"", "0x10"}) {
        EXPECT_EQ(received_age(Message({"Age: " + std::string(value)})), 0) << value;
    }
}

TEST(Age, values_from_2_31_on_saturate) {
    EXPECT_EQ(received_age(Message({"Age: 99999999999999999999"})), kDeltaMax);
    EXPECT_LE(fresh_sec({"Cache-Control: max-age=99999999999", "Age: 99999999999"}), 0);
}

TEST(Age, the_time_the_origin_took_counts) {
    const Message message({"Cache-Control: max-age=100", "Age: 30"});
    const Freshness found = evaluate_freshness({200, message, kNow - 5, kNow}, {}, 0);
    EXPECT_EQ(found.age_at_response, 35);
    EXPECT_EQ(found.fresh_until, kNow + 65);
}

TEST(Age, an_old_date_makes_a_response_old) {
    EXPECT_EQ(fresh_sec({"Cache-Control: max-age=100", "Date: " + date(kNow - 40)}), 60);
}

TEST(Age, the_older_of_age_and_date_counts) {
    EXPECT_EQ(fresh_sec({"Cache-Control: max-age=100", "Date: " + date(kNow - 40), "Age: 60"}), 40);
}

TEST(Age, a_date_in_the_future_does_not_rejuvenate) {
    EXPECT_EQ(fresh_sec({"Cache-Control: max-age=100", "Date: " + date(kNow + 40)}), 100);
}

TEST(Age, a_clock_that_went_backwards_makes_no_negative_age) {
    const Freshness found = evaluate_freshness({200, Fields{}, kNow + 50, kNow}, {}, 0);
    EXPECT_EQ(found.age_at_response, 0);
}

// ---- Date: RFC 9110 §6.6.1

TEST(DateField, is_the_origins) { EXPECT_EQ(freshness(Message({"Date: " + date(kNow - 7)})).date, kNow - 7); }

TEST(DateField, is_the_time_of_receipt_where_the_origin_sent_none_that_is_valid) {
    EXPECT_EQ(freshness(Message({"Date: yesterday"})).date, kNow);
    EXPECT_EQ(freshness(Message()).date, kNow);
}

// ---- Expires: RFC 9111 §5.3

TEST(Expires, the_lifetime_is_expires_minus_date) {
    const Message message({"Expires: " + date(kNow + 100), "Date: " + date(kNow + 40)});
    EXPECT_EQ(freshness(message).lifetime_sec, 60);
    EXPECT_EQ(source(message), Source::kExpires);
}

TEST(Expires, at_or_before_date_is_stale_at_once) {
    EXPECT_LE(fresh_sec({"Expires: " + date(kNow), "Date: " + date(kNow)}), 0);
    EXPECT_LE(fresh_sec({"Expires: " + date(kNow + 5), "Date: " + date(kNow + 5)}), 0);
    EXPECT_GT(fresh_sec({"Expires: " + date(kNow + 1), "Date: " + date(kNow)}), 0);
}

TEST(Expires, without_a_valid_date_the_time_of_receipt_stands_in) {
    EXPECT_EQ(fresh_sec({"Expires: " + date(kNow + 60), "Date: foo"}), 60);
}

TEST(Expires, an_unparsable_value_is_stale) {
    for (const char* value : {"0", "-1", "", "tomorrow", "Thu, 18 Aug 2050 02:01:18 UTC"}) {
        const Message message({"Expires: " + std::string(value)});
        EXPECT_LE(fresh_sec(message), 0) << value;
        EXPECT_EQ(source(message), Source::kExpires) << value;
    }
}

TEST(Expires, more_than_one_line_is_stale) {
    EXPECT_LE(fresh_sec({"Expires: " + date(kNow + 60), "Expires: " + date(kNow + 60)}), 0);
}

TEST(Expires, age_counts_against_it) {
    EXPECT_EQ(fresh_sec({"Expires: " + date(kNow + 60), "Date: " + date(kNow), "Age: 20"}), 40);
}

// ---- Precedence: RFC 9111 §4.2.1

TEST(Precedence, cdn_cache_control_comes_first) {
    EXPECT_EQ(source({"X-Accel-Expires: 1", "Cache-Control: s-maxage=2, max-age=3", "Expires: " + date(kNow + 4),
                      "CDN-Cache-Control: max-age=5"}),
              Source::kCdn);
}

TEST(Precedence, x_accel_expires_comes_before_cache_control) {
    EXPECT_EQ(source({"Cache-Control: s-maxage=2, max-age=3", "X-Accel-Expires: 1"}), Source::kAccel);
    EXPECT_EQ(source({"X-Accel-Expires: 1", "Cache-Control: s-maxage=2, max-age=3"}), Source::kAccel);
}

TEST(Precedence, s_maxage_comes_before_max_age) {
    EXPECT_EQ(fresh_sec({"Cache-Control: max-age=3, s-maxage=60"}), 60);
    EXPECT_EQ(source({"Cache-Control: max-age=3, s-maxage=60"}), Source::kSMaxage);
}

TEST(Precedence, max_age_comes_before_expires) {
    EXPECT_EQ(source({"Expires: " + date(kNow + 500), "Cache-Control: max-age=3"}), Source::kMaxAge);
    EXPECT_EQ(source({"Cache-Control: max-age=3", "Expires: " + date(kNow + 500)}), Source::kMaxAge);
}

TEST(Precedence, expires_comes_before_slab_cache_valid) {
    EXPECT_EQ(source({"Expires: " + date(kNow + 500)}, with_valid()), Source::kExpires);
}

TEST(Precedence, slab_cache_valid_comes_before_the_heuristic) {
    Policy policy = with_valid();
    policy.heuristic_percent = 10;
    EXPECT_EQ(source({"Last-Modified: " + date(kNow - 1000)}, policy), Source::kValid);
}

TEST(Precedence, nothing_named_is_no_freshness) { EXPECT_EQ(source({}), Source::kNone); }

// ---- X-Accel-Expires, as in nginx

TEST(AccelExpires, seconds_count_from_receipt_whatever_the_age) {
    EXPECT_EQ(fresh_sec({"X-Accel-Expires: 60", "Age: 1000"}), 60);
}

TEST(AccelExpires, an_at_sign_makes_it_absolute) {
    EXPECT_EQ(fresh_sec({"X-Accel-Expires: @" + std::to_string(kNow + 33)}), 33);
    EXPECT_LE(fresh_sec({"X-Accel-Expires: @" + std::to_string(kNow - 33)}), 0);
    EXPECT_EQ(fresh_sec({"X-Accel-Expires: @99999999999999999999"}), kDeltaMax);
}

TEST(AccelExpires, zero_switches_caching_off) {
    EXPECT_TRUE(freshness({"X-Accel-Expires: 0", "Cache-Control: max-age=60"}).accel_off);
    EXPECT_FALSE(freshness({"X-Accel-Expires: 1"}).accel_off);
    EXPECT_FALSE(freshness({"X-Accel-Expires: @5"}).accel_off);  // stale, which is another thing
}

TEST(AccelExpires, anything_else_is_ignored) {
    for (const char* value : {"off", "-1", "@", "@x", "", "1h"}) {
        EXPECT_EQ(fresh_sec({"X-Accel-Expires: " + std::string(value), "Cache-Control: max-age=7"}), 7) << value;
    }
}

TEST(AccelExpires, no_store_and_private_win_over_it) {
    EXPECT_TRUE(freshness({"X-Accel-Expires: 60", "Cache-Control: no-store"}).no_store);
    EXPECT_TRUE(freshness({"X-Accel-Expires: 60", "Cache-Control: private"}).is_private);
}

TEST(AccelExpires, wins_over_no_cache_but_not_over_cdn_cache_control) {
    EXPECT_FALSE(freshness({"X-Accel-Expires: 60", "Cache-Control: no-cache"}).no_cache);
    EXPECT_FALSE(freshness({"Cache-Control: no-cache, max-age=0", "X-Accel-Expires: 60"}).no_cache);
    EXPECT_TRUE(freshness({"X-Accel-Expires: off", "Cache-Control: no-cache"}).no_cache);
    EXPECT_TRUE(freshness({"X-Accel-Expires: 60", "CDN-Cache-Control: no-cache"}).no_cache);
}

TEST(AccelExpires, leaves_the_windows_of_cache_control) {
    const Freshness found = freshness({"X-Accel-Expires: @5", "Cache-Control: no-cache, stale-while-revalidate=30"});
    EXPECT_EQ(found.stale_while_sec, 30);
}

// ---- CDN-Cache-Control: RFC 9213

TEST(TargetedField, hides_cache_control_and_expires_even_no_store) {
    const Freshness found =
        freshness({"CDN-Cache-Control: max-age=60", "Cache-Control: no-store, private, no-cache", "Expires: 0"});
    EXPECT_FALSE(found.no_store || found.is_private || found.no_cache);
    EXPECT_EQ(found.fresh_until, kNow + 60);
}

TEST(TargetedField, hides_a_lifetime_of_cache_control_also_when_it_names_none) {
    EXPECT_EQ(source({"CDN-Cache-Control: public", "Cache-Control: max-age=60"}), Source::kNone);
}

TEST(TargetedField, hides_expires_also_when_it_names_no_lifetime) {
    EXPECT_EQ(source({"CDN-Cache-Control: public", "Expires: " + date(kNow + 60)}), Source::kNone);
}

TEST(TargetedField, its_prohibitions_hold) {
    EXPECT_TRUE(freshness({"CDN-Cache-Control: no-store", "Cache-Control: max-age=60"}).no_store);
    EXPECT_TRUE(freshness({"CDN-Cache-Control: private", "Cache-Control: max-age=60"}).is_private);
    EXPECT_TRUE(freshness({"CDN-Cache-Control: no-cache", "Cache-Control: max-age=60"}).no_cache);
}

TEST(TargetedField, age_counts_against_its_max_age) {
    EXPECT_EQ(fresh_sec({"CDN-Cache-Control: max-age=60", "Age: 50"}), 10);
}

TEST(TargetedField, a_field_that_does_not_parse_leaves_cache_control_in_charge) {
    EXPECT_EQ(source({"CDN-Cache-Control: max-age=\"60\"", "Cache-Control: max-age=1"}), Source::kMaxAge);
}

// ---- heuristic: RFC 9111 §4.2.2, RFC 9110 §15.1

Policy heuristic() {
    Policy policy;
    policy.heuristic_percent = 10;
    return policy;
}

TEST(Heuristic, is_off_by_default) { EXPECT_EQ(source({"Last-Modified: " + date(kNow - 1000)}), Source::kNone); }

TEST(Heuristic, is_a_share_of_the_time_since_the_last_change) {
    const Message message({"Last-Modified: " + date(kNow - 1000), "Date: " + date(kNow)});
    EXPECT_EQ(fresh_sec(message, heuristic()), 100);
    EXPECT_EQ(source(message, heuristic()), Source::kHeuristic);
}

TEST(Heuristic, needs_last_modified) { EXPECT_EQ(source({"ETag: \"a\""}, heuristic()), Source::kNone); }

TEST(Heuristic, holds_for_its_statuses_only) {
    const Message message({"Last-Modified: " + date(kNow - 1000)});
    for (const int status : {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}) {
        EXPECT_EQ(source(message, heuristic(), static_cast<uint16_t>(status)), Source::kHeuristic);
    }
    for (const int status : {201, 302, 307, 400, 403, 500, 503, 599}) {
        EXPECT_EQ(source(message, heuristic(), static_cast<uint16_t>(status)), Source::kNone);
    }
}

TEST(Heuristic, public_opens_it_to_any_status) {
    const Message message({"Last-Modified: " + date(kNow - 1000), "Cache-Control: public"});
    EXPECT_EQ(source(message, heuristic(), 599), Source::kHeuristic);
}

TEST(Heuristic, a_last_change_in_the_future_gives_nothing) {
    EXPECT_EQ(source({"Last-Modified: " + date(kNow + 1000)}, heuristic()), Source::kNone);
}

// ---- slab_cache_valid, slab_cache_ttl, slab_cache_ignore_headers

TEST(ValidRules, the_first_rule_that_fits_the_status_counts) {
    EXPECT_EQ(fresh_sec({}, with_valid(), 404), 60);
    EXPECT_EQ(fresh_sec({}, with_valid(), 200), 10);
}

TEST(ValidRules, zero_seconds_are_no_freshness) { EXPECT_EQ(source({}, with_valid(), 500), Source::kNone); }

TEST(ValidRules, count_from_receipt_whatever_the_age) { EXPECT_EQ(fresh_sec({"Age: 1000"}, with_valid(), 404), 60); }

TEST(TtlBounds, lift_what_is_short_and_cut_what_is_long) {
    Policy policy;
    policy.ttl_min_sec = 10;
    policy.ttl_max_sec = 100;
    EXPECT_EQ(fresh_sec({"Cache-Control: max-age=1"}, policy), 10);
    EXPECT_EQ(fresh_sec({"Cache-Control: max-age=1000"}, policy), 100);
    EXPECT_EQ(fresh_sec({"Cache-Control: max-age=50"}, policy), 50);
}

TEST(TtlBounds, never_lift_a_lifetime_of_zero) {
    Policy policy;
    policy.ttl_min_sec = 10;
    EXPECT_LE(fresh_sec({"Cache-Control: max-age=0"}, policy), 0);
    EXPECT_LE(fresh_sec({"Cache-Control: max-age=5", "Age: 5"}, policy), 0);
}

TEST(TtlJitter, shortens_by_at_most_its_percentage_and_repeats_for_the_same_number) {
    Policy policy;
    policy.jitter_percent = 10;
    const Message message({"Cache-Control: max-age=1000"});
    const Response from = response(200, message);
    EXPECT_EQ(evaluate_freshness(from, policy, 0).fresh_until, kNow + 1000);
    EXPECT_EQ(evaluate_freshness(from, policy, 0x80000000).fresh_until, kNow + 950);
    EXPECT_EQ(evaluate_freshness(from, policy, 0x80000000).fresh_until, kNow + 950);
    EXPECT_GE(evaluate_freshness(from, policy, UINT32_MAX).fresh_until, kNow + 900);
}

TEST(TtlJitter, never_takes_the_last_second) {
    Policy policy;
    policy.jitter_percent = 100;
    const Message message({"Cache-Control: max-age=1"});
    EXPECT_EQ(evaluate_freshness(response(200, message), policy, UINT32_MAX).fresh_until, kNow + 1);
}

TEST(IgnoredHeaders, do_not_count) {
    EXPECT_EQ(source({"Cache-Control: max-age=1"}, ignoring(ignore::kCacheControl)), Source::kNone);
    EXPECT_FALSE(freshness({"Cache-Control: no-store"}, ignoring(ignore::kCacheControl)).no_store);
    EXPECT_EQ(source({"Expires: " + date(kNow + 9)}, ignoring(ignore::kExpires)), Source::kNone);
    EXPECT_EQ(source({"X-Accel-Expires: 9"}, ignoring(ignore::kAccelExpires)), Source::kNone);
    EXPECT_EQ(source({"CDN-Cache-Control: max-age=9"}, ignoring(ignore::kCdnCacheControl)), Source::kNone);
}

// ---- must-understand: RFC 9111 §5.2.2.3

TEST(MustUnderstand, lifts_no_store_for_a_status_we_know) {
    const Message message({"Cache-Control: max-age=60, no-store, must-understand"});
    EXPECT_FALSE(freshness(message, {}, 200).no_store);
}

TEST(MustUnderstand, forbids_storing_a_status_we_do_not_know) {
    const Message message({"Cache-Control: max-age=60, must-understand"});
    EXPECT_TRUE(freshness(message, {}, 299).no_store);
}

// ---- stale windows: RFC 5861, RFC 9111 §4.2.4

TEST(StaleWindows, are_the_responses_own) {
    const Freshness found = freshness({"Cache-Control: max-age=1, stale-while-revalidate=20, stale-if-error=30"});
    EXPECT_EQ(found.stale_while_sec, 20);
    EXPECT_EQ(found.stale_if_error_sec, 30);
}

TEST(StaleWindows, are_the_operators_where_the_response_names_none) {
    Policy policy;
    policy.stale_while_sec = 7;
    policy.stale_if_error_sec = 8;
    const Freshness found = freshness({"Cache-Control: max-age=1"}, policy);
    EXPECT_EQ(found.stale_while_sec, 7);
    EXPECT_EQ(found.stale_if_error_sec, 8);
    EXPECT_FALSE(found.explicit_stale_while || found.explicit_stale_if_error);
}

TEST(StaleWindows, must_revalidate_proxy_revalidate_and_no_cache_close_them) {
    Policy policy;
    policy.stale_while_sec = 7;
    for (const char* directive : {"must-revalidate", "proxy-revalidate", "no-cache"}) {
        const Freshness found = freshness(
            {"Cache-Control: max-age=1, stale-while-revalidate=9, stale-if-error=9, " + std::string(directive)},
            policy);
        EXPECT_EQ(found.stale_while_sec, 0) << directive;
        EXPECT_EQ(found.stale_if_error_sec, 0) << directive;
    }
}

TEST(StaleWindows, s_maxage_closes_all_but_an_explicit_stale_while_revalidate) {
    Policy policy;
    policy.stale_while_sec = 7;
    const Freshness silent = freshness({"Cache-Control: s-maxage=1, stale-if-error=9"}, policy);
    EXPECT_EQ(silent.stale_while_sec, 0);
    EXPECT_EQ(silent.stale_if_error_sec, 0);
    EXPECT_EQ(freshness({"Cache-Control: s-maxage=1, stale-while-revalidate=9"}).stale_while_sec, 9);
}

TEST(StaleWindows, a_value_that_is_no_number_is_no_window) {
    EXPECT_EQ(freshness({"Cache-Control: max-age=1, stale-if-error=x"}).stale_if_error_sec, 0);
}

}  // namespace
}  // namespace slab_cache::http
