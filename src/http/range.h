// http/range.h — byte ranges of a complete stored response (RFC 9110 §14, RFC 9111 §3.3).
//
// Choices     More than kMaxRanges ranges, a unit other than bytes, a syntax error, or ranges that
//             add up to more than the whole: Range is ignored, the answer is the whole 200.
//             Unsatisfiable ranges among others are left out.
// Units       bytes; `first` and `last` inclusive, as on the wire.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::http {

using base::Bytes;

inline constexpr uint32_t kMaxRanges = 64;

struct ByteRange {
    uint64_t first;
    uint64_t last;
    uint64_t length() const noexcept { return last - first + 1; }
};

enum class RangeAnswer : uint8_t {
    kWhole,          // 200: no range, or one to be ignored
    kPartial,        // 206
    kUnsatisfiable,  // 416
};

struct RangeSet {
    RangeAnswer answer = RangeAnswer::kWhole;
    uint32_t count = 0;
    ByteRange ranges[kMaxRanges];
};

// `value` is the Range field (several lines of it are one error: pass none); empty means there is
// none.
void parse_ranges(Bytes value, uint64_t length, RangeSet* out) noexcept;

}  // namespace slab_cache::http
