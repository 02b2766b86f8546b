// ngx/zone/hit_for_miss.h — short-lived notes about a key: "just found uncacheable" and "its origin just failed".
//
// One byte per key in the zone's mark table (lossy, lock-free): 1..127 a reason, 128 + n the n-th failure in a row.
// Threading   any worker. Lossy: a mark that is lost costs one wait, a wrong one ends by itself.
// Cost        one word of the table; a miss reads one, a refusal and a failure write one.
#pragma once

#include "ngx/glue/ngx.h"

#include "http/reason.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {

inline constexpr int64_t kHitForMissSec = 10;
inline constexpr uint8_t kFailureBit = 0x80;
inline constexpr uint8_t kMaxBackoffShift = 5;  // 1, 2, 4 … 32 s
// Twice the pause: so that the next failure finds the last one's count.
inline constexpr int64_t kFailureMemorySec = 2;

// What one request could not store says nothing about requests of another kind: those with credentials, with a cookie,
// with neither have marks of their own. So have requests of another identity (identity.h).
enum MarkKind : uint8_t { kAnybody = 0, kHasCookie = 1, kHasCredentials = 2 };

inline shm::Digest mark_digest(const shm::Digest& d, uint64_t identity, uint8_t kind) noexcept {
    return {d.lo ^ identity, d.hi ^ (kind * 0x9E3779B97F4A7C15ull)};
}

inline void mark_uncacheable(Zone* zone, const shm::Digest& d, http::Reason why) noexcept {
    zone->store.mark_set(d, static_cast<uint8_t>(why) & ~kFailureBit, now_sec() + kHitForMissSec);
}

inline void clear_uncacheable(Zone* zone, const shm::Digest& d) noexcept {
    const uint8_t m = zone->store.mark_get(d, now_sec());
    if (m != 0 && (m & kFailureBit) == 0) {
        zone->store.mark_set(d, 0, 0);
    }
}

inline void clear_failures(Zone* zone, const shm::Digest& d) noexcept {
    if ((zone->store.mark_get(d, now_sec() - kFailureMemorySec) & kFailureBit) != 0) {
        zone->store.mark_set(d, 0, 0);
    }
}

// The reason this key was found uncacheable a moment ago; kNone where it was not.
inline http::Reason uncacheable_reason(Zone* zone, const shm::Digest& d) noexcept {
    const uint8_t m = zone->store.mark_get(d, now_sec());
    return (m & kFailureBit) != 0 ? http::Reason::kNone : static_cast<http::Reason>(m);
}

inline bool origin_failing(Zone* zone, const shm::Digest& d) noexcept {
    return (zone->store.mark_get(d, now_sec()) & kFailureBit) != 0;
}

// Each failure in a row doubles the time for which stale content is served without asking again.
inline void mark_failed(Zone* zone, const shm::Digest& d) noexcept {
    const uint8_t m = zone->store.mark_get(d, now_sec() - kFailureMemorySec);
    uint8_t n = (m & kFailureBit) != 0 ? static_cast<uint8_t>(m & ~kFailureBit) : 0;
    const int64_t pause = int64_t{1} << n;
    n = n < kMaxBackoffShift ? static_cast<uint8_t>(n + 1) : n;
    zone->store.mark_set(d, static_cast<uint8_t>(kFailureBit | n), now_sec() + pause);
}

}  // namespace slab_cache::ngx
