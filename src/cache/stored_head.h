// cache/stored_head.h — a response header as it lies in the zone.
//
// What        head = the fixed part, then each field as
//                | form:2 id:6 | length:16 | value |                          a name of the table below
//                | form:2 id:6 | name length:8 | name | lower-case name | length:16 | value |
//             (form 0: the table's spelling, 2: all lower case, 1: any other, spelled out) in the order the origin sent them, repeated lines kept. The body is not in the head.
// Fixed part  | version:8 | fact flags:8 | status:16 | fields:16 | length of the media type:16 |
//             | fresh until:32 | stale while:32 | stale if error:32 | born at:32 | date:32 | Last-Modified:32 |
// Units       seconds, saturated to 32 bits (1970 to 2106; born at: 1952 to 2089); a Last-Modified outside of that is none.
//             date and Last-Modified by the wall clock, the rest by the clock that nobody sets (ngx/zone/zone.h).
// Threading   pure functions; a decoded view is valid as long as the head's bytes are pinned.
// Errors      decode_head() treats the bytes as input: every length is checked, nonsense gives false (a miss).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "http/fields.h"
#include "http/reuse.h"

namespace slab_cache::cache {

using base::Bytes;

// Fields that the adapter must put into typed places. Order is part of the layout.
enum class Known : uint8_t {
    kOther = 0,
    kContentType,
    kDate,
    kLastModified,
    kETag,
    kCacheControl,
    kExpires,
    kVary,
    kContentEncoding,
    kLocation,
    kContentLanguage,
    kAccessControlAllowOrigin,
    kXContentTypeOptions,
    kLink,
    kXFrameOptions,
    kStrictTransportSecurity,
    kContentLocation,
    kRefresh,
    kWwwAuthenticate,
    kAcceptRanges,
    kReferrerPolicy,
    kSetCookie,
    kServer,
    kContentDisposition,
    kContentSecurityPolicy,
    kXRequestId,
    kPragma,
    kAge,
    kCount,
};

Known known(Bytes name) noexcept;  // in any spelling

inline constexpr size_t kHeadFixedBytes = 32;

// The fixed part, decoded.
struct HeadFixed {
    uint16_t status;
    uint16_t field_count;
    uint16_t content_type_len;  // without parameters
    int64_t last_modified;      // -1: none
    http::StoredFacts facts;
};

struct StoredField {
    Known id;
    Bytes name;
    Bytes lowcase;
    Bytes value;
};

// A head, decoded. `fields` walks lazily with next_field().
struct StoredResponse {
    uint16_t status = 0;
    uint16_t content_type_len = 0;
    int64_t last_modified_time = -1;
    http::StoredFacts facts = {};
    Bytes fields;  // encoded
    uint16_t field_count = 0;
    // Found while decoding:
    Bytes etag, last_modified, content_type, date, vary;
};

bool decode_head(Bytes head, StoredResponse* out) noexcept;
// The fixed part alone: what a lookup needs to decide. False for nonsense.
bool decode_facts(Bytes head, HeadFixed* out) noexcept;

// Takes the next field off `rest`; false at the end or on nonsense.
bool next_field(Bytes* rest, StoredField* out) noexcept;

// Writes fields behind the fixed part in a caller's buffer.
class HeadBuilder {
public:
    HeadBuilder(char* buffer, size_t capacity) noexcept;

    void add(Bytes name, Bytes value) noexcept;
    // Fills in the fixed part. False when something did not fit.
    bool finish(uint16_t status, int64_t last_modified, const http::StoredFacts& facts) noexcept;
    Bytes head() const noexcept { return {buffer_, size_}; }

private:
    char* buffer_;
    size_t capacity_;
    size_t size_;
    uint16_t count_ = 0;
    uint16_t content_type_len_ = 0;
    bool overflowed_ = false;
};

}  // namespace slab_cache::cache
