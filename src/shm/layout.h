// shm/layout.h — every byte of the zone that has a meaning. The only file that defines shared memory.
//
// What        [reserved][ZoneHeader][user area][worker records][lease sets][purge sets][marks][uses sketch]
//             [shard 0: Shard, buckets, overflow buckets, eviction area, space area] … [blocks of 64 KB]
// Units       an offset is in bytes from the zone's start; a ref is an offset / 64 in 32 bits, 0 = null (256 GB reach).
// Threading   Atom fields may be read by anybody at any time. Plain fields of Shard, and Entry's fields below
//             "guarded by the shard lock", belong to the holder of that lock. EntryFixed never changes while reachable.
// Death       Truth is: index slots, run headers, EntryFixed, hazard slots, unfinished[]. All else of a shard is derived
//             from these by repair (repair.h).
// Change      Any change of a struct changes layout_fingerprint() or must bump kLayoutVersion: a zone of another
//             layout is never read, it starts empty.
// Invariants  L1  A reachable run lies in its shard's blocks, is 64-byte aligned and carries magic ^ ref.      [audit]
//             L2  Runs of different entries never overlap; an entry's chain is acyclic.                        [audit]
//             L3  Every run of a chain but the last is full up to body_available.                              [audit]
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "base/atom.h"

namespace slab_cache::shm {

using base::Atom;

inline constexpr uint64_t kZoneMagic = 0x3165686361436253ULL;
inline constexpr uint32_t kLayoutVersion = 7;
inline constexpr uint32_t kRefBytes = 64;
inline constexpr uint32_t kLineBytes = 64;
inline constexpr uint32_t kBlockBytes = 64 * 1024;
inline constexpr uint32_t kPageBytes = 8 * 1024;
inline constexpr uint32_t kRunMagic = 0x52756e21;
inline constexpr uint32_t kMaxShards = 16;
inline constexpr uint32_t kCounters = 192;
inline constexpr uint32_t kMaxWorkers = 256;  // bits of a WakeSet
inline constexpr uint32_t kUnknownLength = 0xffffffffU;
inline constexpr uint32_t kMaxPriors = 5;

// A run: contiguous bytes of one object, in one block. The header is in band, the payload follows.
//   0        4         8    12          16
//   | owner  | next    | len | magic^ref | payload … up to len |
// owner: ref of the first run of the object (its entry). len: whole run, header included.
struct RunHeader {
    Atom<uint32_t> owner;
    Atom<uint32_t> next;
    Atom<uint32_t> len;
    Atom<uint32_t> magic;
};
inline constexpr uint32_t kRunHeaderBytes = sizeof(RunHeader);

// What never changes from the moment other processes can see the entry.
struct EntryFixed {
    uint64_t digest_hi;
    uint64_t digest_lo;
    uint32_t fill_cost_us;
    uint32_t stored_sec;  // the caller's clock at begin()
    uint16_t flags;       // the caller's, but for kSideFlag
    uint16_t selector_count;
    uint16_t key_bytes;
    uint16_t head_low;  // head_bytes() in entry_runs.h
    uint8_t head_high;
    uint8_t asked[3];   // low bits of NewEntry::asked: its birth is less than 2^24 above that
    uint32_t checksum;  // of the above but the last, and the entry's own ref
};

enum class EntryState : uint8_t {
    kFree = 0,  // never seen in a reachable entry
    kFilling,   // in one live worker's unfinished[]
    kLive,      // in the index and in an eviction queue
    kRetired,   // in the shard's retired list: freed when nobody's slot[] holds it
};

inline constexpr uint8_t kShared = 1;  // others may have pinned it while filling

// The entry sits in the object's first run, right behind the run header; then selectors (u64 each), key, head, body. Entry,
// selectors and key lie in the first run. So does the head, unless the run would have to be longer than a block: then the run is
// a whole block, and the head goes on in the next.
struct Entry {
    EntryFixed fixed;
    Atom<uint64_t> birth;        // purge counter before the origin was asked; a refresh raises it
    Atom<uint64_t> checked;      // purge counter up to which validity is known
    Atom<uint32_t> fresh_until;  // second of the caller's clock, saturated to 32 bits
    Atom<uint32_t> stale_until;
    Atom<uint32_t> body_available;  // bytes of body that may be read
    Atom<uint32_t> body_total;      // kUnknownLength while growing
    Atom<uint8_t> state;            // EntryState
    Atom<uint8_t> freq;             // 0..3, saturating, racy by design
    uint8_t queue;                  // guarded by the shard lock: which eviction queue (evict.h)
    Atom<uint8_t> marks;            // kShared
    Atom<uint32_t> occupied;        // bytes of all its runs, headers included
    uint64_t value;                 // guarded by the shard lock: H of GD-CLOCK (evict.h)
    uint32_t prev;                  // guarded by the shard lock: eviction queue, or the retired list
    uint32_t next;
};

// 64-byte bucket. slot = tag:16 | gen:16 | ref:32, 0 = empty.
struct Bucket {
    static constexpr uint32_t kSlots = 7;
    Atom<uint64_t> slot[kSlots];
    Atom<uint32_t> overflow;  // 1 + index into the shard's overflow array, 0 = none
    uint32_t gen;             // guarded by the shard lock; of an overflow bucket out of use: 1 + index of the next
};

// The lock word holds its owner's identity (worker.h), 0 = free.
struct RobustLock {
    Atom<uint64_t> owner;
    Atom<uint32_t> dirty;  // a section was entered and not left: what it guards wants repair
    uint32_t pad;
};

struct Shard {
    RobustLock lock;
    uint8_t pad0[kLineBytes - sizeof(RobustLock)];

    // Immutable after create().
    uint64_t buckets_offset, overflow_offset, evict_offset, space_offset, blocks_offset;
    uint64_t evict_bytes, space_bytes;
    uint32_t bucket_count, overflow_count, block_count, index;

    // Guarded by the lock; all derived data.
    uint32_t overflow_used;
    uint32_t retired_head;  // linked by Entry::next
    uint32_t retired_count;
    uint32_t random;  // state of a small generator (block choice)
    uint64_t retired_bytes, filling_bytes, live_bytes, entries;
    uint64_t side_bytes;  // occupied by live entries with kSideFlag

    // Statistics, written under the lock, read by anybody.
    Atom<uint64_t> eviction_age_sec;
    Atom<uint64_t> held_bytes;  // of retired entries that the last reclaim found pinned
    Atom<uint32_t> sweep_bucket;
    uint32_t wants_repair;   // guarded by the lock: nonsense was met, the next holder repairs
    uint32_t overflow_free;  // guarded by the lock: 1 + index of the first overflow bucket out of use, linked by gen
    uint32_t pad1[9];
};

// One per process. The table is sized at create(); unfinished[] and slot[] follow the struct.
// owner = reaping:1 | pid:22 | start time:41, 0 = free. The counters belong to the record, not to its
// tenant: the next tenant goes on counting, so that sums never fall and no death loses or doubles any.
struct WorkerRecord {
    Atom<uint64_t> owner;
    Atom<uint32_t> hiwater;  // slots below it may be in use; only grows during a tenancy
    uint32_t pad0;
    uint8_t pad1[kLineBytes - 16];
    Atom<uint64_t> counter[kCounters];
    // Atom<uint32_t> unfinished[ZoneHeader::unfinished_per_worker]; Atom<uint32_t> slot[ZoneHeader::slots_per_worker];
};

// word = gen:32 | state:8 | owner record:8 | detail:16
struct LeaseCell {
    Atom<uint64_t> word;
    Atom<uint64_t> tag;  // digest.hi ^ mixed digest.lo
    Atom<uint64_t> progress_ms;
    Atom<uint64_t> growing;    // gen:32 | ref:32 of the growing entry, ref 0 = none
    Atom<uint64_t> waiter[4];  // bit = worker record
};
struct LeaseSet {
    static constexpr uint32_t kCells = 7;
    Atom<uint64_t> claim;  // identity of the process that is taking a cell of this set, 0 = none
    uint8_t pad[kLineBytes - 8];
    LeaseCell cell[kCells];
};

// Record: fingerprint with the mode in its lowest bit (1 = soft), and the purge counter it was published with.
struct PurgeRecord {
    Atom<uint64_t> fingerprint;
    Atom<uint64_t> seq;
};
// Twice ZoneHeader::purge_sets: the purge table, and behind it the invalidation table (purge.h).
struct PurgeSet {
    static constexpr uint32_t kRecords = 7;
    PurgeRecord record[kRecords];
    Atom<uint64_t> hard_floor;  // newest hard record that had to be dropped from this set
    Atom<uint64_t> soft_floor;
};

struct ZoneHeader {
    // Immutable after create(); checked by attach().
    uint64_t magic;
    uint32_t version;
    uint32_t fingerprint;
    uint64_t zone_bytes;
    uint32_t reserved_bytes;
    uint32_t shard_count;
    uint64_t config_max_object, config_objects;
    uint32_t config_purge_records, config_workers, config_user_bytes, config_eviction;
    uint64_t zone_id;
    uint64_t max_object;  // resolved
    uint64_t overhead_bytes;
    uint64_t user_offset, workers_offset, leases_offset, purges_offset, marks_offset, uses_offset;
    uint32_t worker_count, worker_bytes, slots_per_worker, unfinished_per_worker;
    uint32_t lease_sets, purge_sets;
    uint32_t mark_groups, uses_lines;  // 32 B and 64 B each
    uint64_t shard_offset[kMaxShards];
    uint8_t secret[192];
    uint64_t first_seq;  // where this zone's purge counter began: random, so that no two zones share a number
    uint64_t carried_first, carried_seq;  // the numbers of the zone whose place it took, up to then; 0: none

    // Hot and read-mostly: the purge counter has its own line.
    Atom<uint64_t> purge_seq;
    Atom<uint64_t> all_hard;  // counter of the newest purge of everything
    Atom<uint64_t> all_soft;
    Atom<uint64_t> prior_seq[kMaxPriors];  // per prior zone: its counter up to which its purges are ours too (prior.h)
    uint8_t pad1[kLineBytes - 24 - 8 * kMaxPriors];

    RobustLock purge_lock;
    Atom<uint64_t> sweeper;      // deadline_ms:48 | worker record + 1:16
    Atom<uint64_t> invalidated;  // no invalidation record or floor is newer
    Atom<uint32_t> sweep_shard;
    Atom<uint32_t> uses_seen;  // bump_uses() calls, in steps of 64: the sketch's epoch
    Atom<uint32_t> unclean;    // Store::set_unclean()
    Atom<uint32_t> closed;     // how much of it a successor found left (prior.h)
    Atom<uint32_t> follows;    // 1 while processes of a prior zone may purge there what is not known here yet (prior.h)
    Atom<uint32_t> unswept;    // invalidation records written since the sweep began anew
    Atom<uint64_t> all_doubt;  // as all_hard: what was born before may be out of date
};

// ---- guards against drift ----------------------------------------------------------------------------------

static_assert(sizeof(RunHeader) == 16);
static_assert(sizeof(EntryFixed) == 40 && offsetof(EntryFixed, checksum) == 36);
static_assert(sizeof(Entry) == 96 && alignof(Entry) == 8);
static_assert(sizeof(Bucket) == kLineBytes);
static_assert(sizeof(RobustLock) == 16);
static_assert(sizeof(Shard) % kLineBytes == 0 && offsetof(Shard, buckets_offset) == kLineBytes);
static_assert(offsetof(WorkerRecord, counter) == kLineBytes && sizeof(WorkerRecord) % kLineBytes == 0);
static_assert(sizeof(LeaseCell) == kLineBytes && sizeof(LeaseSet) == 8 * kLineBytes);
static_assert(sizeof(PurgeSet) == 2 * kLineBytes);
static_assert(offsetof(ZoneHeader, purge_seq) % kLineBytes == 0);
static_assert(offsetof(ZoneHeader, purge_lock) == offsetof(ZoneHeader, purge_seq) + kLineBytes);
static_assert(sizeof(ZoneHeader) % kLineBytes == 0);
static_assert(std::is_standard_layout_v<ZoneHeader> && std::is_standard_layout_v<Shard>);
static_assert(std::is_standard_layout_v<Entry> && std::is_trivially_destructible_v<Entry>);

constexpr uint32_t fold_layout(uint32_t h, uint64_t x) noexcept {
    return (h ^ static_cast<uint32_t>(x)) * 0x9e3779b1U ^ (h >> 15);
}

// `space_and_evict` lets the two areas whose structs live elsewhere (space.h, evict.h) take part.
constexpr uint32_t layout_fingerprint(uint64_t space_and_evict) noexcept {
    uint32_t h = 0x811c9dc5U;
    for (uint64_t x : {sizeof(ZoneHeader), sizeof(Shard), sizeof(Entry), sizeof(EntryFixed), sizeof(RunHeader),
                       sizeof(Bucket), sizeof(WorkerRecord), sizeof(LeaseSet), sizeof(PurgeSet),
                       offsetof(ZoneHeader, purge_seq), offsetof(ZoneHeader, closed), offsetof(ZoneHeader, all_doubt),
                       offsetof(Entry, birth), offsetof(Entry, state), offsetof(Shard, overflow_used)}) {
        h = fold_layout(h, x);
    }
    for (uint64_t x : {uint64_t{kBlockBytes}, uint64_t{kPageBytes}, uint64_t{kRefBytes}, uint64_t{kLayoutVersion},
                       uint64_t{0x01020304}, space_and_evict}) {
        h = fold_layout(h, x);
    }
    return h;
}

}  // namespace slab_cache::shm
