// http/policy.h — what the operator said, in the form the rules read.
//
// Ownership   Arrays and bytes belong to the configuration; a Policy is copied freely and outlived
//             by them.
// Units       seconds.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "http/method.h"

namespace slab_cache::http {

// One slab_cache_valid entry. The first one whose status matches counts; 0 matches any. A bare time
// stands for the three kBareValid statuses, as in proxy_cache_valid: the directive's reader makes
// three rules of it.
struct ValidRule {
    uint16_t status = 0;
    int64_t sec = 0;
};
inline constexpr uint16_t kBareValid[] = {200, 301, 302};

// slab_cache_set_cookie.
enum class SetCookie : uint8_t { kRefuse, kStrip, kStore };

// Bits of Policy::ignore: slab_cache_ignore_headers. Ignored Set-Cookie is stripped from what is
// stored.
namespace ignore {
inline constexpr uint32_t kAccelRedirect = 0x001;  // no effect: nginx makes the redirect
inline constexpr uint32_t kAccelExpires = 0x002;
inline constexpr uint32_t kAccelLimitRate = 0x004;
inline constexpr uint32_t kAccelBuffering = 0x008;
inline constexpr uint32_t kAccelCharset = 0x010;
inline constexpr uint32_t kExpires = 0x020;
inline constexpr uint32_t kCacheControl = 0x040;
inline constexpr uint32_t kCdnCacheControl = 0x080;
inline constexpr uint32_t kSetCookie = 0x100;
inline constexpr uint32_t kVary = 0x200;
}  // namespace ignore

// Bits of Policy::use_stale (slab_cache_use_stale); also the kind of failure given to
// may_serve_stale().
enum StaleOn : uint32_t {
    kStaleError = 0x001,
    kStaleTimeout = 0x002,
    kStaleInvalidHeader = 0x004,
    kStaleUpdating = 0x008,
    kStaleHttp500 = 0x010,
    kStaleHttp502 = 0x020,
    kStaleHttp503 = 0x040,
    kStaleHttp504 = 0x080,
    kStaleHttp403 = 0x100,
    kStaleHttp404 = 0x200,
    kStaleHttp429 = 0x400,
    kStaleHttp5xx = 0x800,  // any other 5xx: no parameter names it, only stale-if-error covers it
};
inline constexpr uint32_t kStaleOff = 0;
inline constexpr uint32_t kStaleDefault = kStaleError | kStaleTimeout | kStaleInvalidHeader | kStaleUpdating |
                                          kStaleHttp500 | kStaleHttp502 | kStaleHttp503 | kStaleHttp504;

// slab_cache_vary. Names in `ignore` match without regard to case, cookie names exactly.
struct VaryPolicy {
    bool off = false;  // one variant for all; `Vary: *` is still refused
    uint32_t max = 8;  // variants per URL; the cache layer counts them
    const base::Bytes* ignore = nullptr;
    uint32_t ignore_count = 0;
    const base::Bytes* cookies = nullptr;  // of a varying Cookie, only these count
    uint32_t cookie_count = 0;
};

// slab_cache_tags: which fields of a response hold tags. They are between the application and us: neither stored nor sent on.
struct TagPolicy {
    bool usual = true;                   // Surrogate-Key, Cache-Tag, xkey; and Cache-Groups, which is sent on
    const base::Bytes* field = nullptr;  // slab_cache_tags field=…
    uint32_t field_count = 0;
};

struct Policy {
    const ValidRule* valid = nullptr;
    uint32_t valid_count = 0;
    uint32_t methods = kCacheGet | kCacheHead;
    // slab_cache_ttl: bounds of the time a response stays fresh from its receipt on. `min` lifts
    // lifetimes that are short, never those that are zero; jitter only shortens.
    int64_t ttl_min_sec = 0;
    int64_t ttl_max_sec = INT64_MAX;
    uint32_t jitter_percent = 0;
    uint32_t heuristic_percent = 0;  // 0: off
    uint32_t ignore = 0;             // ignore:: bits
    uint32_t use_stale = kStaleDefault;
    // "updating" was written by the operator: the first to find something stale need not wait either. The default's
    // only spares those who come while it is fetched again.
    bool stale_at_once = false;
    // "force": use_stale also against must-revalidate, proxy-revalidate and s-maxage, within the operator's window.
    bool stale_forced = false;
    int64_t stale_while_sec = 0;  // slab_cache_stale: windows where the response names none
    int64_t stale_if_error_sec = 3600;
    uint32_t max_header_bytes = 65536;  // of all stored field lines, with ": " and CRLF; tags are not stored
    SetCookie set_cookie = SetCookie::kRefuse;
    VaryPolicy vary;
    TagPolicy tags;
};

inline bool ignores(const Policy& policy, uint32_t bit) noexcept { return (policy.ignore & bit) != 0; }

// slab_cache_set_cookie and slab_cache_ignore_headers Set-Cookie in one word; `store` wins, it was
// asked for.
inline SetCookie set_cookie_mode(const Policy& policy) noexcept {
    const bool strips = policy.set_cookie == SetCookie::kRefuse && ignores(policy, ignore::kSetCookie);
    return strips ? SetCookie::kStrip : policy.set_cookie;
}

}  // namespace slab_cache::http
