// cache/fleet_id.h — ids of a stream's entries: which came before which.
//
// What        "1700000000000-3": the server's millisecond, and a number within it. XADD's ids never go back, so an id is a
//             position in the stream. 0-0 is none.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::cache {

using base::Bytes;

struct StreamId {
    uint64_t ms = 0;
    uint64_t seq = 0;

    explicit operator bool() const noexcept { return (ms | seq) != 0; }
    friend bool operator==(const StreamId& a, const StreamId& b) noexcept { return a.ms == b.ms && a.seq == b.seq; }
    friend bool operator!=(const StreamId& a, const StreamId& b) noexcept { return !(a == b); }
    friend bool operator<(const StreamId& a, const StreamId& b) noexcept {
        return a.ms != b.ms ? a.ms < b.ms : a.seq < b.seq;
    }
    friend bool operator<=(const StreamId& a, const StreamId& b) noexcept { return !(b < a); }
};

// Decimal digits that fit, no sign, no blank. False for anything else.
bool parse_number(Bytes text, uint64_t* out) noexcept;
// "ms-seq" in full.
bool parse_stream_id(Bytes text, StreamId* out) noexcept;

// As text, without allocation.
struct StreamIdText {
    char text[41];
    size_t size = 0;
    explicit StreamIdText(const StreamId& id) noexcept;
    Bytes view() const noexcept { return {text, size}; }
};
struct NumberText {
    char text[20];
    size_t size = 0;
    explicit NumberText(uint64_t n) noexcept;
    Bytes view() const noexcept { return {text, size}; }
};

}  // namespace slab_cache::cache
