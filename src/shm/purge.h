// shm/purge.h — one counter and fingerprinted records: what was purged since an entry was born?
//
// What        A purge writes one record per fingerprint with counter + 1, then publishes the counter. An entry is
//             valid only if its birth, or the counter at which it was last found valid (`checked`), is not older than
//             the newest record of any of its selectors. Records live in sets of seven; one that must go raises its
//             set's floor: too much is invalidated, never too little.
//             Hard and soft records of one fingerprint are two records (lowest bit), so that a later soft purge
//             never softens an earlier hard one. Of everything there is a third mode: what was born before may have been
//             purged by what nobody here heard of. Soft and doubt at once are doubt.
// Tables      Anybody can send unsafe requests, and what these invalidate is remembered likewise. Such records lie in a table of
//             their own, of the same size: they never drop a purge's record, nor raise a floor there. `invalidated` tells who is
//             newer than all of them from who has to look. What they drop of their own is old news to all objects, at any rate:
//             each of them sweeps a part of the index (Store::invalidate).
// Threading   judge(): anybody, no lock. purge_*: serialised by the zone's purge lock. Its holder may be stopped (SIGSTOP, a
//             debugger, a frozen cgroup): waits for it are bounded. Who must purge all the same raises all_hard and the
//             counter by CAS; the holder, when it goes on, finds its number taken and purges everything too.
// Death       a purger that dies between record and counter leaves records one ahead of the counter; the next
//             owner of the lock publishes the counter before anything else. Nobody was told of that purge. Until then
//             every birth is older than those records: reap() and join() do not wait for the next purge.
// Invariants  P1  No record's or floor's seq is above purge_seq (lock free and clean).                    [audit]
//             P2  judge(seq loaded before) never misses a record with seq <= it.        [unit/purge, model/purge]
#pragma once

#include <cstdint>

#include "shm/layout.h"
#include "shm/context.h"

namespace slab_cache::shm {

inline constexpr uint64_t kSeqStride = uint64_t{1}
                                       << 32;  // a zone that takes another's place leaves that one this many

uint64_t purge_counter(const Context& c) noexcept;

// The validity of something with these fingerprints that was born at `birth`. Every record published up to the moment
// of the call is considered.
Validity judge(const Context& c, const uint64_t* fingerprints, uint32_t count, uint64_t birth) noexcept;

// `more` may be null. What it adds has the same counter. These return the new counter, 0 where a lock was busy for some
// 40 ms: then nothing counts as purged, though in a prior zone it may be.
uint64_t purge_fingerprints(Context* c, const uint64_t* fingerprints, uint32_t count, PurgeMode mode, PurgeFn more,
                            void* context) noexcept;
uint64_t purge_everything(Context* c, PurgeMode mode, PurgeFn more, void* context) noexcept;
// The same without the lock, for who must not fail because its holder is stopped. The holder finds out when it goes on.
uint64_t purge_everything_now(Context* c, PurgeMode mode) noexcept;
// A purge of nothing. What is born at the new counter is younger than all before.
uint64_t advance_purges(Context* c) noexcept;

enum class RecordTable : uint8_t { kPurges, kInvalidations };

// purge_fingerprints() into the other table.
uint64_t invalidate_fingerprints(Context* c, const uint64_t* fingerprints, uint32_t count, PurgeMode mode) noexcept;
uint32_t invalidation_records(const Context& c) noexcept;  // that there is room for

// The parts of a purge, for prior.cpp: lock, records, counter, unlock.
bool lock_purges(Context* c, uint64_t* next_seq) noexcept;  // false: busy for some 40 ms
// Before the first invalidation record as of `seq`.
void announce_invalidation_locked(const Context& c, uint64_t seq) noexcept;
// `key`: a record's fingerprint, with the mode in its lowest bit.
void write_record_locked(const Context& c, RecordTable table, uint64_t key, uint64_t seq) noexcept;
PurgeSet* purge_set(const Context& c, RecordTable table, uint32_t i) noexcept;
uint64_t publish_purge_locked(const Context& c, uint64_t seq) noexcept;  // the counter it counts as of
void unlock_purges(Context* c) noexcept;

// Publishes what a dead purger left half-way. REQUIRES the purge lock, found dirty.
void finish_purge_locked(const Context& c) noexcept;
// The same where its owner is dead; nothing otherwise.
void finish_purge_of_dead(Context* c) noexcept;

// Records ahead of the counter are nonsense: they go, and since what they stood for is unknown, everything is
// purged. REQUIRES nobody else uses the zone.
void mend_purges(const Context& c) noexcept;

}  // namespace slab_cache::shm
