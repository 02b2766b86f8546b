// shm/index.h — digests to refs: buckets of seven tagged slots in one line, read without a lock.
//
// Threading   IndexWalk and find_slot loads: anybody, at any time; a word is a hint until its ref is pinned and the
//             word looked at again. *_locked(): holder of the shard lock.
// Ownership   the index owns its buckets. An overflow bucket that runs empty leaves its chain and may join another: a reader
//             that stands on it then misses what its own chain has behind it, and finds nothing that is not there.
// Death       one word is the whole truth: before its store the entry is not there, after it is.
// Invariants  I1  A slot's ref is an entry of this shard, state kLive, whose digest has this bucket and tag. [audit]
//             I2  No two slots hold one ref; no two live entries have one key.                              [audit]
//             I3  Overflow links rise along a chain, so that every walk ends.                               [audit]
//             I4  Each overflow bucket below overflow_used is in one chain, or empty and on the free list.  [audit]
#pragma once

#include <cstdint>

#include "shm/layout.h"
#include "shm/context.h"
#include "shm/zone_plan.h"

namespace slab_cache::shm {

constexpr uint16_t tag_of(const Digest& d) noexcept { return static_cast<uint16_t>(d.hi); }
constexpr uint16_t word_tag(uint64_t word) noexcept { return static_cast<uint16_t>(word >> 48); }
constexpr uint32_t word_ref(uint64_t word) noexcept { return static_cast<uint32_t>(word); }

inline uint32_t bucket_of(const Context& c, const Digest& d) noexcept {
    return base::scale_to(d.lo, c.geo.bucket_count);
}
inline Bucket* bucket_at(const Context& c, const Shard& s, uint32_t i) noexcept {
    return table_of<Bucket>(s, c.geo.buckets_at) + i;
}
inline Bucket* overflow_at(const Context& c, const Shard& s, uint32_t i) noexcept {
    return table_of<Bucket>(s, c.geo.overflow_at) + i;
}

// The bucket behind `b`, null at the end. `last` is the link followed before (0 at first): links must rise.
inline Bucket* next_bucket(const Context& c, const Shard& s, const Bucket* b, uint32_t* last) noexcept {
    const uint32_t link = b->overflow.load_acquire();  // [overflow-link] the bucket behind was emptied before
    if (link <= *last || link > c.geo.overflow_count) {
        return nullptr;
    }
    *last = link;
    return overflow_at(c, s, link - 1);
}

// The slot that holds this very ref, null if none.
Atom<uint64_t>* slot_of_locked(const Context& c, const Shard& s, const Digest& d, uint32_t ref) noexcept;
// The slot of the live entry with this key, null if none.
Atom<uint64_t>* find_locked(const Context& c, const Shard& s, const Digest& d, Bytes key) noexcept;
// The slot of the live entry with this digest, whatever its key; null if none.
Atom<uint64_t>* find_digest_locked(const Context& c, const Shard& s, const Digest& d) noexcept;
// An empty slot for this digest, links an overflow bucket if need be; null when there is none left.
Atom<uint64_t>* empty_slot_locked(const Context& c, Shard* s, const Digest& d) noexcept;
// The slot in this digest's chain whose entry is used least; null when the chain is empty.
Atom<uint64_t>* cheapest_slot_locked(const Context& c, const Shard& s, const Digest& d) noexcept;
// Publishes: the one store after which everybody finds the entry (and no longer the one before).
void publish_locked(const Context& c, const Shard& s, Atom<uint64_t>* slot, const Digest& d, uint32_t ref) noexcept;
void erase_locked(const Context& c, Shard* s, const Digest& d, Atom<uint64_t>* slot) noexcept;
// Repair: these buckets are in no chain.
void free_overflow_locked(const Context& c, Shard* s, uint32_t index) noexcept;

}  // namespace slab_cache::shm
