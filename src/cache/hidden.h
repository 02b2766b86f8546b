// cache/hidden.h — what stands for a value that must not leave the zone.
//
// What        Values of Cookie, Authorization and of whatever responses vary on tell people apart, and let who has them act
//             for these people. API, page, variables and Cache-Status show "#" and 8 hex digits instead: the same for the same
//             value in the same zone, so that two can be compared, and good for nothing else.
// Safety      HMAC-SHA256 under the zone's secret: who has the digits cannot try values. The secret is the index's as well;
//             the keyed hash of the index shows nothing of itself here.
// Cost        a microsecond: not for the hot path.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "http/syntax.h"

namespace slab_cache::cache {

using base::Bytes;

inline constexpr size_t kHiddenBytes = 9;

// "#1f2e3d4c"; nothing for an empty value.
void put_hidden(http::Output* out, Bytes value, const uint8_t* secret) noexcept;

// A Set-Cookie with the cookie's value hidden: "name=#1f2e3d4c; Path=/".
void put_hidden_cookie(http::Output* out, Bytes set_cookie, const uint8_t* secret) noexcept;

}  // namespace slab_cache::cache
