// http/invalidate.h — what a successful unsafe request invalidates (RFC 9111 §4.4).
//
// What        The target URI, and Location and Content-Location of the same origin, as paths with
//             query. References are resolved as RFC 3986 §5.2 says.
// Ownership   the results point into the target, the response's fields or the caller's buffer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "http/message.h"

namespace slab_cache::http {

struct Invalidation {
    uint32_t count = 0;  // 0: nothing is invalidated
    Bytes paths[3];      // the target's first; duplicates left out
};

// Whether what the response names (Location, Content-Location) goes too: RFC 9111 §4.4 says MAY. A login that
// redirects to "/" would purge "/" for everybody.
enum class Named : bool { kKeep, kInvalidate };

// `buffer` takes resolved references; one that does not fit (twice the longest header line
// suffices) is left out. A fragment is no part of what is invalidated.
Invalidation invalidation_of(Method method, uint16_t status, const TargetUri& target, const Fields& response,
                             Named named, char* buffer, size_t cap) noexcept;

// Resolves `reference` against `base`. True when the result is of the same origin: then *path is
// its path and query, written to `buffer` (length needed: at most base.path + reference + 1).
bool resolve_same_origin(Bytes reference, const TargetUri& base, char* buffer, size_t cap, Bytes* path) noexcept;

}  // namespace slab_cache::http
