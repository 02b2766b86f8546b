// http/slice.h — slices: parts of a large file that are asked for and kept one by one (nginx's slice module).
//
// What        A slice is the range that the origin is asked for. A 206 is its answer where Content-Range names that very
//             range, or ends with the file, and tells the file's length. Any other 206 belongs to another request.
// Units       bytes; `first` and `last` inclusive, as on the wire.
// Errors      Nonsense, and numbers above 2^63 - 1, are no slice and no Content-Range.
#pragma once

#include "http/fields.h"
#include "http/range.h"

namespace slab_cache::http {

// "bytes=FIRST-LAST", as $slice_range has it.
bool parse_slice(Bytes range, ByteRange* out) noexcept;

struct ContentRange {
    ByteRange range;
    uint64_t length;  // of the whole file
};

// "bytes FIRST-LAST/LENGTH". A length of "*" is none. Blanks are taken where nginx takes them.
bool parse_content_range(Bytes value, ContentRange* out) noexcept;

// Are `fields` those of the 206 that answers `slice`? A Content-Length that says otherwise makes it none.
bool answers_slice(const ByteRange& slice, const Fields& fields, ContentRange* out) noexcept;

}  // namespace slab_cache::http
