// http/early_hints.h — what of a response is worth a 103 (RFC 8297) before the next one.
//
// What        of its Link fields (RFC 8288) the members that tell a browser what to fetch: rel=preload, preconnect, modulepreload.
// Threading   pure functions of their arguments.
// Errors      a line that is no list of links ends at its first mistake; what was read before counts.
#pragma once

#include "http/fields.h"

namespace slab_cache::http {

inline constexpr size_t kMaxHintsBytes = 4096;

// The members, as they were sent, with ", " between them: the value of one Link field. At most `cap` bytes: members that do not fit are left
// out. Returns the length; 0: nothing to hint at.
size_t hints_of(const Fields& response, char* out, size_t cap) noexcept;

}  // namespace slab_cache::http
