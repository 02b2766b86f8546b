// http/cache_control.h — Cache-Control as a value (RFC 9111 §5.2).
//
// What        All lines are one list; names in any case; unknown directives are skipped. The same
//             value describes a targeted field (RFC 9213), which structured fields spell
//             differently.
// Choices     The first of repeated lifetimes counts. A lifetime that is no non-negative integer is
//             0 (stale), as is one with blanks around its `=`. Quoted numbers are read.
//             private="field" is plain private and a quoted string that is never closed is
//             no-store: when in doubt, do not cache.
// Units       seconds; kAbsent where the directive is missing.
#pragma once

#include <cstdint>

#include "http/fields.h"

namespace slab_cache::http {

inline constexpr int64_t kAbsent = -1;

struct CacheControl {
    bool present = false;  // the field is there and counts
    bool no_store = false;
    bool no_cache = false;         // the plain form
    bool no_cache_fields = false;  // no-cache="a, b": see no_cache_lists()
    bool is_private = false;
    bool is_public = false;
    bool must_revalidate = false;
    bool proxy_revalidate = false;
    bool must_understand = false;
    bool only_if_cached = false;  // requests
    int64_t max_age = kAbsent;
    int64_t s_maxage = kAbsent;
    int64_t stale_while_revalidate = kAbsent;
    int64_t stale_if_error = kAbsent;
    int64_t min_fresh = kAbsent;  // requests
    int64_t max_stale = kAbsent;  // requests; without a number: kDeltaMax
};

CacheControl parse_cache_control(const Fields& fields) noexcept;

// CDN-Cache-Control: a Structured Field Dictionary. `present` is false when the field is missing,
// empty, unparsable or carries a lifetime of a wrong type: then the field is ignored as a whole
// (RFC 9213 §2.2).
CacheControl parse_cdn_cache_control(const Fields& fields) noexcept;

// Does some no-cache="…" of Cache-Control list that field name? (RFC 9111 §5.2.2.4)
bool no_cache_lists(const Fields& fields, Bytes name) noexcept;

}  // namespace slab_cache::http
