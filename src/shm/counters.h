// shm/counters.h — the store's own counters, 0 … 63 of a worker's 192. One row each: name, word, sentence.
//
// Threading   each process adds to its own record only (relaxed); sums are taken on demand and never fall.
#pragma once

#include <cstdint>

#include "shm/layout.h"
#include "shm/context.h"

namespace slab_cache::shm {

#define SLAB_STORE_COUNTERS(ROW)                                                                                   \
    ROW(kFindHits, "find_hits", "lookups that pinned an entry")                                                    \
    ROW(kFindMisses, "find_misses", "lookups without an entry")                                                    \
    ROW(kFindBusy, "find_busy", "lookups refused: all hazard slots in use")                                        \
    ROW(kCorruptSeen, "corrupt", "nonsense met in the zone and passed over")                                       \
    ROW(kStores, "stores", "entries published")                                                                    \
    ROW(kStoredBytes, "stored_bytes", "bytes of zone taken by published entries")                                  \
    ROW(kReplaced, "replaced", "published entries that took another's place")                                      \
    ROW(kRemoved, "removed", "entries removed by key")                                                             \
    ROW(kEvicted, "evicted", "entries evicted to make room")                                                       \
    ROW(kEvictedBytes, "evicted_bytes", "bytes of zone freed by eviction")                                         \
    ROW(kSwept, "swept", "expired or purged entries taken out by the sweeper")                                     \
    ROW(kNoSpaceSeen, "no_space", "stores refused for lack of evictable space")                                    \
    ROW(kTooLargeSeen, "too_large", "stores refused for their size")                                               \
    ROW(kLockBusy, "lock_busy", "stores given up because a shard lock was held")                                   \
    ROW(kPurgedInflight, "purged_inflight", "stores dropped because a purge came first")                           \
    ROW(kAborted, "aborted", "stores given up by the caller")                                                      \
    ROW(kPurges, "purges", "fingerprints purged")                                                                  \
    ROW(kPurgeFloorRaised, "purge_floor_raised", "purge records dropped: their set was full")                      \
    ROW(kLeases, "leases", "leases granted")                                                                       \
    ROW(kLeaseOvertaken, "lease_overtaken", "leases taken from a dead or silent owner")                            \
    ROW(kLeaseUnavailable, "lease_unavailable", "leases refused: the set was full")                                \
    ROW(kRepairs, "repairs", "shards repaired after their writer died")                                            \
    ROW(kRepairDropped, "repair_dropped", "entries dropped by a repair as not whole")                              \
    ROW(kReaped, "reaped", "records of dead processes taken back")                                                 \
    ROW(kCleanedBlocks, "cleaned_blocks", "blocks emptied so that they can change mode")                           \
    ROW(kReclaimed, "reclaimed", "retired entries whose space was freed")                                          \
    ROW(kOutrun, "outrun", "stores dropped because an object with a later birth was in place")                     \
    ROW(kInvalidations, "invalidations", "fingerprints invalidated by unsafe requests")                            \
    ROW(kInvalidationFloorRaised, "invalidation_floor_raised", "invalidation records dropped: their set was full") \
    ROW(kPinBudget, "pin_budget", "reclaims that left a quarter of a shard pinned by slow readers")

enum class Counter : uint32_t {
#define SLAB_ROW(name, word, sentence) name,
    SLAB_STORE_COUNTERS(SLAB_ROW)
#undef SLAB_ROW
        kEnd
};
static_assert(static_cast<uint32_t>(Counter::kEnd) <= 64);

struct CounterRow {
    const char* word;
    const char* sentence;
};
inline constexpr CounterRow kCounterRows[] = {
#define SLAB_ROW(name, word, sentence) {word, sentence},
    SLAB_STORE_COUNTERS(SLAB_ROW)
#undef SLAB_ROW
};

// No-op for a process without a record.
void count(const Context& c, Counter which, uint64_t n = 1) noexcept;

}  // namespace slab_cache::shm
