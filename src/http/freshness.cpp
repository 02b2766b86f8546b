#include "http/freshness.h"

#include "http/date.h"
#include "http/storable.h"
#include "http/syntax.h"

namespace slab_cache::http {

namespace {

struct Lifetime {
    Source source = Source::kNone;
    int64_t sec = 0;
    bool from_receipt = false;  // not used up by the age it came with
};

constexpr int64_t clamp_delta(int64_t sec) noexcept { return sec < 0 ? 0 : sec < kDeltaMax ? sec : kDeltaMax; }

// The directives that govern the response: the targeted field's, or else Cache-Control's.
struct Governing {
    CacheControl cc;
    bool targeted = false;
};

Governing governing_directives(const Fields& fields, const Policy& policy) noexcept {
    if (!ignores(policy, ignore::kCdnCacheControl)) {
        const CacheControl cdn = parse_cdn_cache_control(fields);
        if (cdn.present) {
            return {cdn, true};
        }
    }
    if (ignores(policy, ignore::kCacheControl)) {
        return {};
    }
    return {parse_cache_control(fields), false};
}

// X-Accel-Expires: seconds from receipt, or "@" and seconds since the epoch. Anything else is
// ignored, as nginx does.
bool accel_lifetime(const Response& response, const Policy& policy, Lifetime* out) noexcept {
    const Field* field = response.fields.find("X-Accel-Expires");
    if (field == nullptr || ignores(policy, ignore::kAccelExpires)) {
        return false;
    }
    const Bytes value = trim(field->value);
    const bool absolute = base::starts_with(value, "@");
    int64_t sec = 0;
    if (absolute) {
        // parse_delta() saturates in 2038; here the digits are a time, of which 18 are plenty.
        const Bytes digits = base::slice(value, 1);
        if (parse_delta(digits) < 0) {
            return false;
        }
        for (const char c : base::slice(digits, 0, 18)) {
            sec = sec * 10 + (c - '0');
        }
        sec = subtract_saturated(sec, response.response_time);
    } else {
        sec = parse_delta(value);
        if (sec < 0) {
            return false;
        }
    }
    *out = {Source::kAccel, clamp_delta(sec), true};
    return true;
}

// Expires - Date; several lines or no date at all mean stale (§4.2.1, §5.3).
bool expires_lifetime(const Response& response, const Policy& policy, int64_t date, Lifetime* out) noexcept {
    if (ignores(policy, ignore::kExpires)) {
        return false;
    }
    size_t lines = 0;
    int64_t sec = 0;
    for (const Field& line : response.fields.lines("Expires")) {
        lines++;
        const std::optional<int64_t> expires = parse_date(trim(line.value), response.response_time);
        sec = expires ? subtract_saturated(*expires, date) : 0;
    }
    if (lines == 0) {
        return false;
    }
    *out = {Source::kExpires, lines == 1 ? clamp_delta(sec) : 0, false};
    return true;
}

bool valid_lifetime(uint16_t status, const Policy& policy, Lifetime* out) noexcept {
    for (uint32_t i = 0; i < policy.valid_count; i++) {
        const ValidRule& rule = policy.valid[i];
        if (rule.status == 0 || rule.status == status) {
            *out = {Source::kValid, clamp_delta(rule.sec), true};
            return rule.sec > 0;
        }
    }
    return false;
}

// A share of the time since the last change (§4.2.2).
bool heuristic_lifetime(const Response& response, const Policy& policy, int64_t date, bool is_public,
                        Lifetime* out) noexcept {
    if (policy.heuristic_percent == 0 || !(is_public || is_heuristically_cacheable(response.status))) {
        return false;
    }
    const std::optional<int64_t> modified =
        parse_date(trim(response.fields.get("Last-Modified")), response.response_time);
    if (!modified) {
        return false;
    }
    const int64_t since = subtract_saturated(date, *modified);
    if (since <= 0) {
        return false;
    }
    const int64_t percent = policy.heuristic_percent < 100 ? policy.heuristic_percent : 100;
    // A hundredfold of "very long" still fits, and a share of anything longer is very long too.
    const int64_t share = (since < 100 * kDeltaMax ? since : 100 * kDeltaMax) * percent / 100;
    *out = {Source::kHeuristic, clamp_delta(share), false};
    return true;
}

Lifetime find_lifetime(const Response& response, const Policy& policy, const Governing& governing,
                       int64_t date) noexcept {
    const CacheControl& cc = governing.cc;
    const int64_t named = cc.s_maxage != kAbsent ? cc.s_maxage : cc.max_age;
    Lifetime out;
    if (governing.targeted && named != kAbsent) {
        return {Source::kCdn, named, false};
    }
    if (accel_lifetime(response, policy, &out)) {
        return out;
    }
    if (!governing.targeted) {
        if (named != kAbsent) {
            return {cc.s_maxage != kAbsent ? Source::kSMaxage : Source::kMaxAge, named, false};
        }
        if (expires_lifetime(response, policy, date, &out)) {
            return out;
        }
    }
    if (valid_lifetime(response.status, policy, &out) ||
        heuristic_lifetime(response, policy, date, cc.is_public, &out)) {
        return out;
    }
    return {};
}

// What is left of the lifetime at receipt, within the operator's bounds and less the jitter.
int64_t remaining_sec(const Lifetime& lifetime, int64_t age, const Policy& policy, uint32_t random) noexcept {
    int64_t left = lifetime.from_receipt ? lifetime.sec : lifetime.sec - age;
    if (lifetime.sec == 0 || left <= 0) {
        return lifetime.from_receipt ? 0 : left;
    }
    left = left < policy.ttl_min_sec ? policy.ttl_min_sec : left;
    left = left > policy.ttl_max_sec ? policy.ttl_max_sec : left;
    left = clamp_delta(left);
    const int64_t percent = policy.jitter_percent < 100 ? policy.jitter_percent : 100;
    // Less than `left`, as the random share is less than 1: a second is always left.
    return left - left * percent * (random >> 16) / (100LL * 65536);
}

void set_windows(const CacheControl& cc, const Policy& policy, Freshness* out) noexcept {
    const bool is_strict = cc.must_revalidate || cc.proxy_revalidate;
    if (cc.no_cache || (is_strict && !policy.stale_forced)) {
        return;
    }
    if (is_strict) {
        out->stale_if_error_sec = clamp_delta(policy.stale_if_error_sec);
        return;
    }
    const bool shared_only = cc.s_maxage != kAbsent;  // implies proxy-revalidate (§5.2.2.10)
    out->explicit_stale_while = cc.stale_while_revalidate != kAbsent;
    if (out->explicit_stale_while) {
        out->stale_while_sec = cc.stale_while_revalidate;
    } else if (!shared_only) {
        out->stale_while_sec = clamp_delta(policy.stale_while_sec);
    }
    if (!shared_only) {
        out->explicit_stale_if_error = cc.stale_if_error != kAbsent;
        out->stale_if_error_sec =
            out->explicit_stale_if_error ? cc.stale_if_error : clamp_delta(policy.stale_if_error_sec);
    } else if (policy.stale_forced) {
        out->stale_if_error_sec = clamp_delta(policy.stale_if_error_sec);
    }
}

void set_directives(const CacheControl& cc, uint16_t status, Freshness* out) noexcept {
    const bool is_known = is_known_status(status);
    out->no_cache = cc.no_cache;
    out->no_store = cc.must_understand ? !is_known : cc.no_store;
    out->is_private = cc.is_private;
    out->must_revalidate = cc.must_revalidate || cc.proxy_revalidate || cc.s_maxage != kAbsent;
    out->shares_authorization = cc.is_public || cc.must_revalidate || cc.s_maxage != kAbsent;
}

}  // namespace

bool is_heuristically_cacheable(uint16_t status) noexcept {
    constexpr uint16_t kStatuses[] = {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501};
    for (const uint16_t known : kStatuses) {
        if (known == status) {
            return true;
        }
    }
    return false;
}

int64_t received_age(const Fields& fields) noexcept {
    ListReader reader(fields.get("Age"));
    Bytes first;
    const int64_t age = reader.next(&first) ? parse_delta(first) : 0;
    return age < 0 ? 0 : age;
}

bool is_valid_named(uint16_t status, const Policy& policy) noexcept {
    for (uint32_t i = 0; i < policy.valid_count; i++) {
        if (policy.valid[i].status == status) {
            return policy.valid[i].sec > 0;
        }
    }
    return false;
}

bool has_validator(const Fields& fields, int64_t now) noexcept {
    return !trim(fields.get("ETag")).empty() || parse_date(trim(fields.get("Last-Modified")), now).has_value();
}

Freshness evaluate_freshness(const Response& response, const Policy& policy, uint32_t random) noexcept {
    const Governing governing = governing_directives(response.fields, policy);
    const int64_t received = response.response_time;
    Freshness out;
    out.date = parse_date(trim(response.fields.get("Date")), received).value_or(received);
    const int64_t apparent = subtract_saturated(received, out.date);
    const int64_t delay = clamp_delta(subtract_saturated(received, response.request_time));
    const int64_t corrected = received_age(response.fields) + delay;
    out.age_at_response = clamp_delta(apparent > corrected ? apparent : corrected);
    out.has_validator = has_validator(response.fields, received);
    const Lifetime lifetime = find_lifetime(response, policy, governing, out.date);
    CacheControl cc = governing.cc;
    // As in nginx: whoever speaks to it by name means it, whatever no-cache tells the caches beyond.
    cc.no_cache = cc.no_cache && (governing.targeted || lifetime.source != Source::kAccel);
    set_directives(cc, response.status, &out);
    set_windows(cc, policy, &out);
    out.source = lifetime.source;
    out.is_explicit =
        lifetime.source != Source::kNone && lifetime.source != Source::kValid && lifetime.source != Source::kHeuristic;
    out.accel_off = lifetime.source == Source::kAccel && lifetime.sec == 0 &&
                    trim(response.fields.get("X-Accel-Expires"))[0] != '@';
    const int64_t left =
        lifetime.source == Source::kNone ? 0 : remaining_sec(lifetime, out.age_at_response, policy, random);
    out.lifetime_sec = left > 0 ? add_saturated(out.age_at_response, left) : lifetime.sec;
    out.fresh_until = add_saturated(received, left);
    return out;
}

}  // namespace slab_cache::http
