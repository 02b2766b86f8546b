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
    kWhole,           // 200: no range, or one to be ignored
    kPartial,         // 206
    kUnsatisfiable,   // 416
};

struct RangeSet {
    RangeAnswer answer = RangeAnswer::kWhole;
    uint32_t count = 0;               // one: a plain 206; more: multipart/byteranges
    ByteRange ranges[kMaxRanges];
};

// `value` is the Range field (several lines of it are one error: pass none); empty means there is
// none.
void parse_ranges(Bytes value, uint64_t length, RangeSet* out) noexcept;

// "bytes ", three numbers of 20 digits, "-" and "/".
inline constexpr size_t kContentRangeBytes = 68;

// "bytes 0-99/1000", or "bytes */1000" with nullptr. Returns the length, at most kContentRangeBytes;
// written when it fits.
size_t format_content_range(const ByteRange* range, uint64_t length, char* out,
                            size_t cap) noexcept;

// The text between the parts of multipart/byteranges: CRLF "--" boundary CRLF [Content-Type]
// Content-Range CRLF CRLF. Returns the length; written when it fits.
size_t format_part_head(Bytes boundary, Bytes content_type, const ByteRange& range,
                        uint64_t length, char* out, size_t cap) noexcept;
// CRLF "--" boundary "--" CRLF.
size_t format_part_end(Bytes boundary, char* out, size_t cap) noexcept;

// Content-Length of the whole multipart body.
uint64_t multipart_length(const RangeSet& set, Bytes boundary, Bytes content_type,
                          uint64_t length) noexcept;

}  // namespace slab_cache::http
