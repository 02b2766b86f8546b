// cache/fleet_wire.h — entries of the stream, read into a selection. What writes them: fleet_record.h.
//
// What        An entry's fields are those of the purge API: url prefix host tag glob all tags_all not mode; the plurals are
//             taken too. A value is a list: tags are split on blanks and commas, the rest on blanks. `zone` names the zone it is
//             for (none: all of the fleet's), `from` the node's zone that wrote it, `hello` says nothing.
//             `unsafe` and `group` are what unsafe requests invalidated (RFC 9111 §4.4, RFC 9875): anybody can bring those about, so
//             they are applied as such, and one that cannot be read is passed over.
//             mode: hard (if none is given), soft, or doubt, which goes with all: the origin is asked before the next use.
// Doubt       what cannot be read may have been any purge: everything is doubted. An unknown field is counted and passed over,
//             unless there is no other.
#pragma once

#include <cstdint>

#include "cache/fleet_id.h"
#include "cache/redis_reply.h"
#include "cache/purge_batch.h"

namespace slab_cache::cache {

enum class EntryMode : uint8_t { kHard, kSoft, kDoubt };

// What all fields of an entry come to, but what it names.
struct EntryHead {
    StreamId id;
    Bytes zone;  // empty: all
    Bytes from;
    EntryMode mode = EntryMode::kHard;
    uint32_t values = 0;       // at most so many things are named
    uint32_t unknown = 0;      // fields
    uint32_t invalidated = 0;  // URLs and groups
    bool all = false;
    bool says_nothing = false;  // hello
    bool is_readable = false;   // false: everything is to be doubted
};

// `entry`: [id, [field, value, …]] as XRANGE and XREAD give it. False: it is no entry at all, and has no id.
bool read_entry_head(const Reply& entry, EntryHead* out) noexcept;
// Adds what it names to a selection with room for 2 * values more selectors. False: something of it cannot be meant.
bool select_entry(const Reply& entry, Selection* to) noexcept;

// The selectors of what an unsafe request invalidated. `s` lends arena and secret.
using InvalidatedFn = void (*)(uint64_t selector, bool is_url, void* data);
void each_invalidated(const Reply& entry, const Selection& s, InvalidatedFn fn, void* data) noexcept;

// Of all that an entry says.
uint64_t hash_entry(const Reply& entry) noexcept;

}  // namespace slab_cache::cache
