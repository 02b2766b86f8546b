// cache/tier_value.h — what lies in Redis or memcached: an HTTP response, as any program writes one.
//
// What        HTTP/1.1 200 OK CRLF, fields, an empty line, the body. A bare LF ends a line as well. The body is all the rest; where
//             there is a Content-Length, it is that of the body.
// Fields      between the writer and slab_cache, never a client's; others that begin with Slab- are passed over:
//             Slab-Position: id     the stream's position (cache/fleet_id.h) up to which the writer knew all purges, before it read its data.
//                                   Without one, or with one that is no id, it is older than all purges.
//             Slab-Key: text        of the cache key (tier_key.h). Another one than was asked for: not this object.
//             Slab-Identity: text   of the location that answered (ngx/request/identity.h); without it, of any, as one that was pushed.
//             Slab-Born: seconds    when its age was 0, since 1970. Becomes its Age. Without it, Age and Date count.
//             Slab-Vary: spec       no response, but a marker: responses of this key vary on that (http/vary.h), and lie under variant
//                                   keys. Several lines are several specs, to be tried in turn.
// Refused     a head that another reader might take otherwise: folded lines, blanks before a colon, controls, a bare CR, a
//             Transfer-Encoding, a length that is not the body's. Whoever wrote it made a mistake, or was somebody else.
// Threading   pure functions.
// Ownership   views of the value, and of TierValue itself: not to be copied or moved.
// Cost        one walk over the head; nothing is allocated.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "cache/fleet_id.h"
#include "cache/stored_head.h"
#include "http/fields.h"

namespace slab_cache::cache {

using base::Bytes;

inline constexpr size_t kMaxTierHead = 64 * 1024;  // up to the empty line
inline constexpr uint32_t kMaxTierFields = 256;
inline constexpr uint32_t kMaxTierSpecs = 4;

enum class ValueFault : uint8_t {
    kNone,
    kEmpty,     // no byte: a place that is held for who fills it
    kStatus,    // the first line is no status line, or not of a final response
    kField,     // a line that is no field
    kTooLarge,  // the head's bytes, or the number of fields
    kNoEnd,     // no empty line
    kLength,    // Content-Length is not the body's, or there is a body where there can be none
    kTransfer,  // Transfer-Encoding
};
const char* fault_sentence(ValueFault fault) noexcept;

struct TierValue {
    TierValue() noexcept {}  // NOLINT(modernize-use-equals-default): leaves `field` as it is
    TierValue(const TierValue&) = delete;
    TierValue& operator=(const TierValue&) = delete;

    bool is_marker() const noexcept { return specs != 0; }
    http::Fields fields() const noexcept { return {field, fields_used, names}; }

    uint16_t status = 0;
    Bytes body;
    Bytes key;          // empty: it does not say
    Bytes identity;     // the same
    StreamId position;  // none where it says none, or one that is no id
    bool has_position = false;
    Bytes spec[kMaxTierSpecs];
    uint32_t specs = 0;

    union {                                     // 8 KB, of which hardly any are used
        http::Field field[kMaxTierFields + 1];  // the response's; with Age as of now, without Content-Length
    };
    uint32_t fields_used = 0;
    uint64_t names = 0;
    char age[base::kDecimalBytes];
};

// now: seconds since 1970. *out is fresh, and of use where kNone is returned.
ValueFault read_tier_value(Bytes value, int64_t now, TierValue* out) noexcept;

// A message's head, up to the empty line. The body goes behind it.
struct TierHead {
    const StoredResponse* response = nullptr;
    const http::Field* more = nullptr;  // beside what is stored: tags, above all
    uint32_t more_count = 0;
    Bytes key;
    Bytes identity;     // empty: none
    StreamId position;  // none: none
    int64_t born = 0;   // seconds since 1970
};
// Returns the bytes it needs; they have been written if that is at most `capacity`. 0: it has something that no message can have.
size_t write_tier_head(const TierHead& head, char* out, size_t capacity) noexcept;
// A marker, whole. The specs are kept in their order; at most kMaxTierSpecs.
size_t write_tier_marker(Bytes key, const Bytes* spec, uint32_t specs, char* out, size_t capacity) noexcept;

}  // namespace slab_cache::cache
