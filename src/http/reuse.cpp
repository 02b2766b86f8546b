#include "http/reuse.h"

namespace slab_cache::http {

namespace {

constexpr int64_t kRevalidationKeep = 3600;
constexpr uint32_t kNeverStale = fact::kMustRevalidate | fact::kNoCache;

int64_t later(int64_t a, int64_t b) noexcept { return a > b ? a : b; }

Reuse by_age(const StoredFacts& facts, int64_t now) noexcept {
    if ((facts.flags & fact::kNoCache) != 0) {
        return {ReuseKind::kRevalidate, Reason::kNoCache};
    }
    if (now < facts.fresh_until) {
        return {ReuseKind::kFresh, Reason::kNone};
    }
    if (now < facts.stale_while_until) {
        return {ReuseKind::kStaleWhileRevalidate, Reason::kExpired};
    }
    const bool may_outlive = (facts.flags & kNeverStale) == 0 && now < facts.stale_if_error_until;
    return {may_outlive ? ReuseKind::kStaleIfErrorOnly : ReuseKind::kRevalidate, Reason::kExpired};
}

}  // namespace

StoredFacts facts_of(const Response& response, const Freshness& freshness) noexcept {
    StoredFacts facts{};
    facts.fresh_until = freshness.fresh_until;
    facts.stale_while_until = add_saturated(freshness.fresh_until, freshness.stale_while_sec);
    facts.stale_if_error_until = add_saturated(freshness.fresh_until, freshness.stale_if_error_sec);
    facts.born_at = subtract_saturated(response.response_time, freshness.age_at_response);
    facts.date = freshness.date;
    facts.status = response.status;
    facts.flags = (freshness.must_revalidate ? fact::kMustRevalidate : 0) | (freshness.no_cache ? fact::kNoCache : 0) |
                  (freshness.shares_authorization ? fact::kSharesAuthorization : 0) |
                  (freshness.has_validator ? fact::kHasValidator : 0) |
                  (freshness.explicit_stale_while ? fact::kOwnStaleWhile : 0) |
                  (freshness.explicit_stale_if_error ? fact::kOwnStaleIfError : 0);
    return facts;
}

StoredFacts moved(StoredFacts facts, int64_t sec) noexcept {
    for (int64_t* at : {&facts.fresh_until, &facts.stale_while_until, &facts.stale_if_error_until, &facts.born_at}) {
        *at = add_saturated(*at, sec);
    }
    return facts;
}

int64_t useful_until(const StoredFacts& facts) noexcept {
    const int64_t end = later(facts.fresh_until, later(facts.stale_while_until, facts.stale_if_error_until));
    if ((facts.flags & fact::kHasValidator) == 0) {
        return end;
    }
    const int64_t was_fresh = subtract_saturated(facts.fresh_until, facts.born_at);
    return later(end, add_saturated(facts.fresh_until, later(was_fresh, kRevalidationKeep)));
}

Reuse reuse(const StoredFacts& facts, const Request& request, const Policy& policy, int64_t now) noexcept {
    if (request.has_authorization && (facts.flags & fact::kSharesAuthorization) == 0) {
        return {ReuseKind::kNo, Reason::kAuthorization};
    }
    Reuse found = by_age(facts, now);
    if (policy.stale_at_once && found.kind != ReuseKind::kFresh &&
        may_serve_stale(facts, kStaleUpdating, policy, now)) {
        found.kind = ReuseKind::kStaleWhileRevalidate;
    }
    return found;
}

bool may_serve_stale(const StoredFacts& facts, StaleOn failure, const Policy& policy, int64_t now) noexcept {
    constexpr uint32_t kCoveredByField = kStaleError | kStaleTimeout | kStaleInvalidHeader | kStaleHttp500 |
                                         kStaleHttp502 | kStaleHttp503 | kStaleHttp504 | kStaleHttp5xx;
    if ((facts.flags & fact::kNoCache) != 0) {
        return false;
    }
    if (now < facts.fresh_until) {
        return true;
    }
    if ((failure & kStaleUpdating) != 0 && (facts.flags & fact::kOwnStaleWhile) != 0) {
        return now < facts.stale_while_until;
    }
    // A lifetime of zero asks for validation at each use. Only a word of the configuration says otherwise.
    if ((failure & kStaleUpdating) != 0 && facts.fresh_until <= facts.born_at && !policy.stale_at_once) {
        return false;
    }
    const bool is_error = facts.status >= 500;  // an old failure is no better than a new one
    if (((facts.flags & fact::kMustRevalidate) != 0 && !policy.stale_forced) || is_error) {
        return false;
    }
    const bool is_covered = (policy.use_stale & failure) != 0 ||
                            ((facts.flags & fact::kOwnStaleIfError) != 0 && (failure & kCoveredByField) != 0);
    return is_covered && now < later(facts.stale_while_until, facts.stale_if_error_until);
}

uint32_t stale_on_status(uint16_t status) noexcept {
    switch (status) {
    case 500:
        return kStaleHttp500;
    case 502:
        return kStaleHttp502;
    case 503:
        return kStaleHttp503;
    case 504:
        return kStaleHttp504;
    case 403:
        return kStaleHttp403;
    case 404:
        return kStaleHttp404;
    case 429:
        return kStaleHttp429;
    default:
        return status >= 500 && status <= 599 ? uint32_t{kStaleHttp5xx} : 0;
    }
}

}  // namespace slab_cache::http
