// http/freshness.h — how old a response is and how long it stays fresh (RFC 9111 §4.2, RFC 5861,
// RFC 9213).
//
// What        evaluate_freshness() reads a response once; storable(), facts_of() and update use its
//             value.
// Choices     Precedence, whatever the order of the lines: CDN-Cache-Control, X-Accel-Expires,
//             s-maxage, max-age, Expires, slab_cache_valid, heuristic. A valid CDN-Cache-Control
//             hides Cache-Control and Expires altogether. Lifetimes of the origin's standard fields
//             are used up by Age and Date; X-Accel-Expires and slab_cache_valid count from receipt,
//             as in nginx. X-Accel-Expires changes the lifetime only: no-store, private and
//             no-cache hold. An explicit stale-while-revalidate holds beside s-maxage (which
//             forbids stale answers only where nothing else is said), never beside must-revalidate
//             or proxy-revalidate.
// Units       seconds; nothing wraps.
#pragma once

#include <cstdint>

#include "http/cache_control.h"
#include "http/message.h"
#include "http/policy.h"

namespace slab_cache::http {

enum class Source : uint8_t {
    kNone,
    kCdn,
    kAccel,
    kSMaxage,
    kMaxAge,
    kExpires,
    kValid,
    kHeuristic,
};

struct Freshness {
    Source source = Source::kNone;
    int64_t lifetime_sec = 0;     // from generation on; 0 = stale at once
    int64_t age_at_response = 0;  // corrected initial age (§4.2.3)
    int64_t fresh_until = 0;      // absolute: stale once now >= fresh_until
    // Windows after fresh_until, from the response or else the policy; 0 where forbidden.
    int64_t stale_while_sec = 0;
    int64_t stale_if_error_sec = 0;
    int64_t date = 0;                   // the Date field, or the time of receipt
    bool explicit_stale_while = false;  // the response itself names the window
    bool explicit_stale_if_error = false;
    bool is_explicit = false;      // lifetime from the origin, not from the operator or a guess
    bool must_revalidate = false;  // or proxy-revalidate or s-maxage: an error goes through
    bool no_cache = false;         // store with a validator, revalidate at every use
    bool no_store = false;         // must-understand already weighed
    bool is_private = false;
    bool shares_authorization = false;  // public, must-revalidate or s-maxage (§3.5)
    bool accel_off = false;             // X-Accel-Expires: 0
    bool has_validator = false;
};

// `random` drives the jitter: the same number, the same result.
Freshness evaluate_freshness(const Response& response, const Policy& policy, uint32_t random) noexcept;

// Age as received: first member of the first line, 0 unless a bare non-negative integer (§5.1).
int64_t received_age(const Fields& fields) noexcept;

// 200 203 204 206 300 301 308 404 405 410 414 501 (RFC 9110 §15.1).
bool is_heuristically_cacheable(uint16_t status) noexcept;

// Does slab_cache_valid give this very status a lifetime? `any` is no word about it.
bool is_valid_named(uint16_t status, const Policy& policy) noexcept;

// Has an ETag or a Last-Modified that is a date.
bool has_validator(const Fields& fields, int64_t now) noexcept;

}  // namespace slab_cache::http
