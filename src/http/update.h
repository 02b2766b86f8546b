// http/update.h — the stored header after a 304 (RFC 9111 §3.2, §4.3.4).
//
// What        MergedFields yields the header that a validated response has from now on: the stored
//             lines whose names the 304 does not bring, in their order, then the 304's own lines.
//             Evaluate freshness over the result; is_storable_field() then says which of its lines
//             are stored, as for any response (the 304's Age is among them).
// Choices     Never replaced: Content-Length, Content-Encoding, Content-Type, Content-Range,
//             hop-by-hop fields, and Set-Cookie unless it is stored as it comes. A 304 without Date
//             takes the stored Date away: it is not that old any more. A 304 whose ETag is another
//             one updates nothing; weakness makes no other one, as gzip filters add it to a 200 only.
#pragma once

#include "http/fields.h"
#include "http/policy.h"

namespace slab_cache::http {

// May a line of this name in `update` (the 304) replace the stored ones?
bool is_updatable_field(Bytes name, const Fields& update, const Policy& policy) noexcept;

// Does the 304 speak of what is stored under this ETag? Without a tag on either side it does.
bool is_update_of(Bytes stored_etag, const Fields& update) noexcept;

// A line of the 304 that is not stored with `result` and yet is for who asked: Set-Cookie, and what
// no-cache names, which may be sent after a validation (§5.2.2.4).
bool is_for_asker(Bytes name, const Fields& update, const Fields& result, const Policy& policy) noexcept;

class MergedFields {
public:
    MergedFields(const Fields& stored, const Fields& update, const Policy& policy) noexcept
        : stored_(stored), update_(update), policy_(policy) {}
    bool next(Field* field) noexcept;

private:
    bool keeps(const Field& stored) const noexcept;

    Fields stored_;
    Fields update_;
    const Policy& policy_;
    size_t at_ = 0;
};

}  // namespace slab_cache::http
