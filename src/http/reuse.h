// http/reuse.h — may this stored response answer this request, now (RFC 9111 §4, §4.2.4, RFC 5861).
//
// What        StoredFacts is all a hit needs to know; it is written into the stored head and read
//             back from shared memory, so any bit pattern is legal and at worst makes the answer
//             "revalidate".
// Hot path    reuse(), current_age(): no allocation, no parsing.
// Units       whole seconds of wall-clock time.
#pragma once

#include <cstdint>
#include <type_traits>

#include "http/freshness.h"
#include "http/message.h"
#include "http/policy.h"
#include "http/reason.h"
#include "http/syntax.h"

namespace slab_cache::http {

namespace fact {
inline constexpr uint32_t kMustRevalidate = 0x01;       // no stale answer on an error
inline constexpr uint32_t kNoCache = 0x02;              // revalidate at every use
inline constexpr uint32_t kSharesAuthorization = 0x04;  // may answer a request with Authorization
inline constexpr uint32_t kHasValidator = 0x08;
inline constexpr uint32_t kOwnStaleWhile = 0x10;  // windows named by the response itself
inline constexpr uint32_t kOwnStaleIfError = 0x20;
}  // namespace fact

//   | fresh_until:64 | stale_while_until:64 | stale_if_error_until:64 | born_at:64 |
//   | date:64 | flags:32 | status:16 | 0:16 |                       = 48 bytes
struct StoredFacts {
    int64_t fresh_until;        // stale once now >= this
    int64_t stale_while_until;  // stale-while-revalidate until then
    int64_t stale_if_error_until;
    int64_t born_at;  // when its age was 0: response_time - age_at_response
    int64_t date;     // the origin's Date, or the time of receipt
    uint32_t flags;   // fact:: bits
    uint16_t status;
    uint16_t reserved;
};
static_assert(sizeof(StoredFacts) == 48 && std::is_trivially_copyable_v<StoredFacts> &&
              std::is_standard_layout_v<StoredFacts>);

StoredFacts facts_of(const Response& response, const Freshness& freshness) noexcept;
// The same by a clock that is `sec` ahead. `date` stays: it is the origin's word.
StoredFacts moved(StoredFacts facts, int64_t sec) noexcept;

// Until when the object is of use to anybody: its stale windows, and for one with a validator as
// long again as it was fresh, at least an hour, since a 304 is cheap. This is the store's
// stale_until.
int64_t useful_until(const StoredFacts& facts) noexcept;

// The value of Age: seconds since it was generated, 0 to kDeltaMax.
inline int64_t current_age(const StoredFacts& facts, int64_t now) noexcept {
    const int64_t age = subtract_saturated(now, facts.born_at);
    return age < 0 ? 0 : age > kDeltaMax ? kDeltaMax : age;
}

enum class ReuseKind : uint8_t {
    kFresh,                 // send it
    kStaleWhileRevalidate,  // send it, and refresh in the background
    kStaleIfErrorOnly,      // ask the origin; should that fail, may_serve_stale() decides
    kRevalidate,            // ask the origin, and an error goes through
    kNo,                    // not for this request, as if nothing were stored
};

struct Reuse {
    ReuseKind kind = ReuseKind::kNo;
    Reason reason = Reason::kNone;  // why not kFresh
};

Reuse reuse(const StoredFacts& facts, const Request& request, const Policy& policy, int64_t now) noexcept;

// After a failure of that kind (or while somebody else updates: kStaleUpdating), may the stored
// response be sent instead? stale-if-error of the response covers connection errors and every 5xx;
// use_stale covers what it lists. A lifetime of zero asks for validation at each use: "updating" covers it
// only where the configuration wrote that word (Policy::stale_at_once).
bool may_serve_stale(const StoredFacts& facts, StaleOn failure, const Policy& policy, int64_t now) noexcept;

// The failure that a status of the origin is; 0 for one that is no failure.
uint32_t stale_on_status(uint16_t status) noexcept;

}  // namespace slab_cache::http
