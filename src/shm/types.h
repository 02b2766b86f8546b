// shm/types.h — what the store takes and gives: plain values, and handles that only the store can read.
//
// Ownership   Pin, Writer and Ticket are plain handles; store.h says with what each is paired.
// Units       bytes, whole seconds of the caller's clock (`_sec`), milliseconds of CLOCK_MONOTONIC (`_ms`),
//             microseconds where a name ends in `_us`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::shm {

using base::Bytes;

enum class [[nodiscard]] Status : uint8_t{
    kOk,
    kMiss,         // no such object
    kBusy,         // a bound was reached (lock spin, slots, leases): do without the cache this time
    kNoSpace,      // nothing evictable was found
    kTooLarge,     // above max_object, or a key or head above its cap
    kPurged,       // a purge since the entry's birth covers it
    kCorrupt,      // the zone holds nonsense there; counted
    kOutrun,       // not stored: a rival stays in place (NewEntry::rival_flags)
    kStaleFormat,  // attach(): magic, version, fingerprint or size differ
    kTooSmall,     // create(): zone cannot work at that size
};

// 128 bits of a keyed hash. Entries are compared by digest and by the full key bytes.
struct Digest {
    uint64_t hi = 0;
    uint64_t lo = 0;
    friend bool operator==(const Digest& a, const Digest& b) noexcept { return a.hi == b.hi && a.lo == b.lo; }
};

// A row each in evict_policy.cpp.
enum class Eviction : uint8_t { kHits, kBalanced, kBytes };
// By the word of `eviction=`; false where there is no such policy.
bool parse_eviction(std::string_view word, Eviction* out) noexcept;
std::string_view eviction_word(uint32_t row) noexcept;  // empty behind the last

struct Config {
    uint64_t max_object = 0;     // bytes of key + head + body; 0: 1/16 of a shard
    uint64_t objects = 0;        // index sizing; 0: zone / 4 KB
    uint32_t purge_records = 0;  // 0: a default in proportion to the zone
    uint32_t workers = 0;        // worker_processes; the record table is 4 x this + 16, at least 64
    uint32_t user_bytes = 0;     // opaque area for the layer above (histograms, sketches), zeroed at create
    Eviction eviction = Eviction::kHits;
};

// A process's identity: pid and start time in one word, never 0. pid alone is none (pids are reused).
struct WorkerId {
    uint32_t pid = 0;
    uint64_t start_time = 0;  // field 22 of /proc/<pid>/stat
};

// Tells whether a process lives. Replaceable so that tests can declare threads dead; default: /proc.
using IsAliveFn = bool (*)(const WorkerId&, void* context);

struct Entry;  // layout.h

// A pinned object: its bytes stay where they are, unchanged, until unpin(). Empty when entry is null.
// Up to 1,024 distinct entries per worker; further pins of the same entry are free.
struct Pin {
    const Entry* entry = nullptr;
    uint32_t ref = 0;
    explicit operator bool() const noexcept { return entry != nullptr; }
};

// With a key of 32 KB, 8 KB of an object's first block are left for its head: what tells its facts from it needs no more.
inline constexpr uint32_t kMaxSelectors = 3072;
inline constexpr uint32_t kMaxHeadBytes = 192 * 1024;
// An entry beside the objects proper (what is known of them, say): such entries never take more than a tenth of the space. Where they
// would, they are refused with kNoSpace, one that replaces another too.
inline constexpr uint16_t kSideFlag = 0x8000;

// What an object is at the moment its head is known.
struct NewEntry {
    Digest digest;
    Bytes key;                            // <= 64 KB; compared in full on every hit
    Bytes head;                           // opaque, <= kMaxHeadBytes
    const uint64_t* selectors = nullptr;  // fingerprints of what may purge it: URL, host, prefixes, tags
    uint32_t selector_count = 0;          // <= kMaxSelectors; with the key <= 60 KB; "all" is implicit
    uint64_t birth = 0;           // purges from there on take it: birth_stamp() from before the origin was asked
    uint64_t asked = 0;           // ... where that was another one, which is older; 0: it was the birth
    int64_t fresh_until_sec = 0;  // after this, stale
    int64_t stale_until_sec = 0;  // after this, of no use to anybody: first to be evicted
    int64_t body_bytes = -1;      // when known in advance, else -1
    uint32_t fill_cost_us = 0;    // what the origin took
    uint16_t flags = 0;           // opaque to the store, but for kSideFlag
    int64_t stored_sec = 0;       // when it was first stored, where that is not now
    uint16_t rival_flags = 0;     // what is in place stays, should it have one of these flags and
    uint64_t rival_since = 0;     // ... an `asked` above this: commit() says kOutrun
};

// A store in progress. Private to the process that began it until commit() or Ticket attach.
struct Writer {
    uint32_t ref = 0;        // entry reference, 0 = none
    uint32_t place = 0;      // place in this worker's unfinished[] (internal)
    uint64_t written = 0;    // body bytes so far
    uint32_t tail_run = 0;   // internal
    uint32_t tail_used = 0;  // internal
    uint32_t head_left = 0;  // internal: of a head that goes on behind the first run
    uint16_t rival_flags = 0;
    uint64_t rival_since = 0;
    explicit operator bool() const noexcept { return ref != 0; }
};

struct Segment {
    const char* data;
    uint32_t len;
};

enum class Validity : uint8_t {
    kValid,
    kSoftPurged,  // stale, may be served while it is refreshed
    kDoubted,     // perhaps purged: the origin is asked before it is served
    kPurged,      // gone
};

inline constexpr uint64_t kLeastSeq = uint64_t{1} << 40;  // purge counters begin here or above, at random
inline constexpr uint32_t kMaxUses = 15;                  // bump_uses() counts so far

// kDoubt: of everything only (purge_all): what was purged meanwhile is not known.
enum class PurgeMode : uint8_t { kHard, kSoft, kDoubt };

class PurgeSection;  // store.h
using PurgeFn = void (*)(PurgeSection* section, void* context);

// One right to ask the origin for one key. `gen` tells this tenancy of the cell from the next.
struct Ticket {
    uint32_t cell = 0;
    uint32_t gen = 0;  // 0: no ticket
    explicit operator bool() const noexcept { return gen != 0; }
};

enum class LeaseAnswer : uint8_t {
    kOwned,        // the caller is to fill
    kWait,         // somebody else does: lease_watch() the ticket
    kUnavailable,  // all cells of the set are taken: fill without a lease
};

enum class LeaseState : uint8_t {
    kFetching,   // the origin has been asked; nothing usable yet
    kStreaming,  // the entry can be pinned with lease_pin() and grows
    kPublished,  // done: look it up
    kFailed,     // the fill failed; `detail` says how
    kPrivate,    // the response is nobody else's business (uncacheable); `detail` is the reason
    kGone,       // another tenancy: look again
    kSilent,     // owner dead (`detail` 1) or without progress for longer than allowed (0): may be overtaken
};

struct LeaseView {
    LeaseState state = LeaseState::kGone;
    uint32_t detail = 0;  // 16 bits of it are kept
};

// Which workers to wake: bit i = worker record i.
struct WakeSet {
    static constexpr uint32_t kWords = 4;
    uint64_t bits[kWords] = {};
    bool any() const noexcept { return (bits[0] | bits[1] | bits[2] | bits[3]) != 0; }
};

struct Stats {
    uint64_t zone_bytes, overhead_bytes;    // whole zone; fixed metadata in it
    uint64_t capacity_bytes, used_bytes;    // block space; allocated in it
    uint64_t live_bytes;                    // bytes the reachable objects' runs hold (exact payload)
    uint64_t retired_bytes, filling_bytes;  // unlinked but pinned; being written
    uint64_t entries, index_slots, blocks_free, blocks_page, blocks_tail, shards;
    uint64_t purge_seq, purge_records, workers_live, workers_draining, pins;
    uint64_t eviction_age_sec;  // age of the newest eviction victim
};

struct Audit {
    bool clean = false;
    uint64_t entries = 0, violations = 0;
    char first[160] = {};  // the first violation, in words
};

// What carry() may do, and what it did.
struct CarryRules {
    bool (*go_on)(void* context) = nullptr;  // asked before each object; false ends it
    void* context = nullptr;
    int64_t now_sec = 0;
};
struct Carried {
    uint64_t found = 0;    // objects there were
    uint64_t entries = 0;  // of these carried over
    uint64_t bytes = 0;    // their size in the old zone
    bool cut_short = false;
};

}  // namespace slab_cache::shm
