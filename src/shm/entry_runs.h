// shm/entry_runs.h — an entry and its runs: what is a valid one, making room, giving back.
//
// What        An object is a chain of runs. The first holds Entry, selectors, key, the head and the body's beginning; of a head
//             that does not fit into a block, the beginning.
// Threading   checks: anybody who has pinned the entry. *_locked(): holder of the shard lock.
// Errors      everything read from the zone is checked; nonsense ends a walk.
// Death       run headers are written before they are linked; what is not linked or not in unfinished[] is swept by repair.
#pragma once

#include <cstdint>
#include <cstring>

#include "shm/evict.h"
#include "shm/layout.h"
#include "shm/space.h"
#include "shm/context.h"
#include "shm/zone_plan.h"

namespace slab_cache::shm {

inline Space space_of(const Context& c, const Shard& s) noexcept {
    return {c.base, offset_of(c, s) + c.geo.space_at, blocks_offset(c, s), c.geo.block_count};
}
inline EvictQueues queues_of(const Context& c, const Shard& s) noexcept {
    return {c.base,
            {offset_of(c, s) + c.geo.evict_at, c.geo.evict_bytes, blocks_offset(c, s), c.geo.block_count},
            static_cast<Eviction>(c.geo.eviction)};
}

// The first run cannot hold more than a block: Entry, selectors, key, and what it can of the head.
inline constexpr uint32_t kMostInFirstRun = kBlockBytes - kRunHeaderBytes;

inline uint32_t head_bytes(const EntryFixed& f) noexcept { return uint32_t{f.head_high} << 16 | f.head_low; }
// From the end of the run header to the head: Entry, selectors, key.
inline uint32_t names_bytes(const EntryFixed& f) noexcept {
    return static_cast<uint32_t>(sizeof(Entry)) + f.selector_count * 8U + f.key_bytes;
}
// From the end of the run header to the body: the head too. What of it lies in the first run is first_bytes().
inline uint32_t front_bytes(const EntryFixed& f) noexcept { return names_bytes(f) + head_bytes(f); }
inline uint32_t first_bytes(const EntryFixed& f) noexcept {
    const uint32_t front = front_bytes(f);
    return front < kMostInFirstRun ? front : kMostInFirstRun;
}
// Of each shard.
inline uint64_t most_side_bytes(const Context& c) noexcept { return capacity(c) / 10; }
// What an entry counts for in Shard::side_bytes while it is live.
inline uint64_t side_bytes_of(const Entry& e) noexcept {
    return (e.fixed.flags & kSideFlag) != 0 ? e.occupied.load_relaxed() : 0;  // relaxed: only written under the lock
}
inline const uint64_t* selectors_of(const Entry& e) noexcept { return reinterpret_cast<const uint64_t*>(&e + 1); }
inline Bytes key_of(const Entry& e) noexcept {
    return {reinterpret_cast<const char*>(&e + 1) + e.fixed.selector_count * 8U, e.fixed.key_bytes};
}
// As far as it lies in the first run.
inline Bytes head_of(const Entry& e) noexcept {
    const Bytes key = key_of(e);
    return {key.data() + key.size(), first_bytes(e.fixed) - names_bytes(e.fixed)};
}
// The purge counter before the origin was asked, or, of a push, when it was taken: of two of one key the later knows more.
// The birth says no more than that neither is purged: it may be younger (NewEntry::asked), or have been raised (Store::refresh).
inline uint64_t asked_at(const Entry& e) noexcept {
    const uint64_t birth = e.birth.load_acquire();  // [entry-birth]
    uint32_t low = 0;
    std::memcpy(&low, e.fixed.asked, sizeof(e.fixed.asked));
    return birth - ((birth - low) & 0xffffff);
}
inline Digest digest_of(const Entry& e) noexcept { return {e.fixed.digest_hi, e.fixed.digest_lo}; }
inline bool has_key(const Entry& e, const Digest& d, Bytes key) noexcept {
    return e.fixed.digest_hi == d.hi && e.fixed.digest_lo == d.lo && key_of(e) == key;
}

// The purge counter from which on records have to be looked at: none up to it touches the entry. `seq`: the counter now; a
// `checked` beyond it is nonsense. What is asked for, or swept, before its set runs over thus outlives its set's floor.
inline uint64_t known_valid_at(const Entry& e, uint64_t seq) noexcept {
    const uint64_t checked = e.checked.load_relaxed();  // relaxed: whoever stored it had judged up to it
    const uint64_t birth = e.birth.load_acquire();      // [entry-birth]
    return checked > birth && checked <= seq ? checked : birth;
}

// Purged (hard) as of `seq`, the counter loaded before. Remembers that it is not.
bool is_purged_locked(const Context& c, const Entry& e, uint64_t seq) noexcept;

uint32_t checksum_of(const EntryFixed& fixed, uint32_t ref) noexcept;

// A run of `owner` lies at `ref`: in the shard, in one block, header plausible.
bool is_run(const Context& c, const Shard& s, uint32_t ref, uint32_t owner) noexcept;
// An entry may lie at `ref`: a run that is its own owner, and what belongs into the first run is within it. Enough to read it safely.
bool is_readable(const Context& c, const Shard& s, uint32_t ref) noexcept;
// An entry lies at `ref`: also its checksum is right. For lock holders, who change or free what they find.
bool is_entry(const Context& c, const Shard& s, uint32_t ref) noexcept;
// Payload bytes (headers excluded) and occupied bytes of a chain; false when it is broken or longer than it may be.
struct ChainSize {
    uint64_t payload = 0;
    uint64_t occupied = 0;
    uint32_t runs = 0;
};
bool measure_chain(const Context& c, const Shard& s, uint32_t ref, ChainSize* size) noexcept;

void write_run_header(const Context& c, Run run, uint32_t owner) noexcept;

// A run, evicting up to 32 entries for it if need be. Empty: nothing evictable, or not enough.
Run make_room_locked(const Context& c, Shard* s, const Ask& ask, int64_t now_sec) noexcept;

// Takes a live entry out of index and queue, and retires it. `slot` may be null: it is looked for.
void unlink_locked(const Context& c, Shard* s, Atom<uint64_t>* slot, uint32_t ref) noexcept;
// Takes out one evicted by the queues (already out of them).
void evict_locked(const Context& c, Shard* s, uint32_t ref, int64_t now_sec) noexcept;
// Forgets a live entry that has already lost its slot and its queue.
void retire_live_locked(const Context& c, Shard* s, uint32_t ref) noexcept;

// An unfinished store is over: hidden from its lease and retired. Nothing when `ref` is not (any longer) one.
void drop_unfinished_locked(const Context& c, Shard* s, uint32_t ref) noexcept;

// Nonsense was met under the lock: counted, and the next holder of the lock repairs the shard.
void report_nonsense_locked(const Context& c, Shard* s) noexcept;

// Frees all runs. REQUIRES nobody can reach it.
void free_chain_locked(const Context& c, Shard* s, uint32_t ref) noexcept;

}  // namespace slab_cache::shm
