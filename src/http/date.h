// http/date.h — HTTP-date (RFC 9110 §5.6.7).
//
// What        Reads IMF-fixdate, RFC 850 and asctime dates, writes IMF-fixdate.
// Choices     Strict about digits, commas, colons and spaces; names of days, months and the zone in
//             any case; any zone but GMT is no date. The weekday must be one, but need not be that
//             day's. Second 60 is the next minute's 0.
// Units       whole seconds since 1970-01-01T00:00:00Z; years 0000 to 9999, negative before 1970.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace slab_cache::http {

using base::Bytes;

inline constexpr size_t kDateBytes = 29;  // "Sun, 06 Nov 1994 08:49:37 GMT"

// `now` settles the century of RFC 850's two-digit years: never more than 50 years ahead of it.
std::optional<int64_t> parse_date(Bytes text, int64_t now) noexcept;

// Writes exactly kDateBytes; times outside the years 0000 to 9999 are clamped to them.
void format_date(int64_t time, char out[kDateBytes]) noexcept;

}  // namespace slab_cache::http
