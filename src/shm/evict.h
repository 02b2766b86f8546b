// shm/evict.h — which entry goes next. Never touches bytes, the index or the space.
//
// What        GD-CLOCK: one clock queue per size class; an entry is worth H = L + uses / size^a, where L is the H of
//             the latest victim. Readers only bump the entry's saturating 2-bit counter; a used tail is worth
//             more and goes round once more. What differs from policy to policy is a row of evict_policy.h.
//             A ghost table remembers fingerprints of recent victims: who comes back soon starts higher.
// Threading   All of it belongs to the holder of the shard's lock; Entry::freq alone is bumped by readers meanwhile.
// Ownership   EvictQueues is one process's view, made per operation; queues are linked through the entries
//             (queue, value, prev, next). An entry in no queue has queue == 0, and its links are free for others.
// Units       refs; sizes are Entry::occupied in bytes; H has 44 binary places.
// Death       Derived data: repair calls clear_locked() and push_rebuilt_locked() for every live entry.
// Cost        pick_victim_locked(): at most kMaxSteps entries looked at, usually one per non-empty class.
// Invariants  E1  Every entry in a queue names that queue, and links there and back.                        [audit]
//             E2  Counts and bytes of a queue are those of its entries.                                     [audit]
//             E3  L never falls but by format_locked(); no H in a queue is above L + the most one can add.  [audit]
#pragma once

#include <cstdint>
#include <type_traits>

#include "shm/layout.h"
#include "shm/context.h"
#include "shm/evict_policy.h"

namespace slab_cache::shm {

struct EvictQueue {
    uint32_t head;  // newest
    uint32_t tail;
    uint64_t bytes;
    uint32_t count;
    uint32_t pad;
};
static_assert(sizeof(EvictQueue) == 24);

struct EvictHeader {
    static constexpr uint32_t kQueues = 64;
    uint64_t floor;  // L
    uint64_t bytes;  // of all queues
    uint32_t count;
    uint32_t broken_links;  // links that were nonsense; the rest of such a queue was let go
    uint32_t ghost_clock;   // victims remembered so far
    uint32_t pad0;
    uint64_t used_queues;  // bit = queue is not empty
    uint64_t pad1[3];
    EvictQueue queue[kQueues];
};
static_assert(std::is_standard_layout_v<EvictHeader> && sizeof(EvictHeader) % 64 == 0);

// Takes part in the zone's layout fingerprint.
inline constexpr uint64_t kEvictFingerprint = sizeof(EvictHeader) ^ (uint64_t{1} << 20);

// What the caller knows of an entry and this file does not. Null functions: never.
struct VictimRules {
    bool (*is_dead)(const Entry& entry, void* context) = nullptr;  // purged: first to go, whatever its worth
    bool (*is_pinned)(uint32_t ref, void* context) = nullptr;      // must not go now; asked of candidates only
    void* context = nullptr;
};

class EvictQueues {
public:
    // `objects`: expected number of entries of the shard; sizes the ghost table (4 B each). A multiple of 64.
    static uint64_t metadata_bytes(uint64_t objects) noexcept;

    // Where the parts are. Refs are believed in the blocks only.
    struct Area {
        uint64_t metadata_offset, metadata_bytes;
        uint64_t blocks_offset;
        uint32_t blocks;
    };
    EvictQueues(char* zone_base, const Area& a, Eviction policy) noexcept
        : base_(zone_base),
          header_(reinterpret_cast<EvictHeader*>(zone_base + a.metadata_offset)),
          first_ref_(static_cast<uint32_t>(a.blocks_offset / kRefBytes)),
          end_ref_(first_ref_ + a.blocks * (kBlockBytes / kRefBytes)),
          ghost_sets_(static_cast<uint32_t>((a.metadata_bytes - sizeof(EvictHeader)) / kLineBytes)),
          policy_(policy_of(policy)) {}

    // All that there are; *count of them.
    static const EvictPolicy* policies(uint32_t* count) noexcept;

    void format_locked(uint64_t metadata_bytes) noexcept;  // as given to the constructor

    // The entry of this digest will be pushed soon.
    void prefetch(uint64_t digest_hi, uint64_t digest_lo) const noexcept {
        uint32_t tag;
        __builtin_prefetch(ghost_set(digest_hi, digest_lo, &tag), 1);
    }
    // A new entry, in no queue; occupied and fixed are set and stay. Resets its use counter.
    void push_locked(uint32_t ref) noexcept;
    // Takes an entry out of its queue; false when it is in none.
    bool remove_locked(uint32_t ref) noexcept;

    // A victim was picked and more will be: those are called from memory, by guess.
    void prefetch_victims_behind(uint32_t ref, bool first) const noexcept;

    // The entry to evict next, taken out of its queue and remembered as a ghost; 0 when there is none, or when
    // kMaxSteps found only pinned ones. Tails past stale_until, or dead by the rules, go before any other.
    static constexpr uint32_t kMaxSteps = 256;
    uint32_t pick_victim_locked(uint32_t now_sec, const VictimRules& rules) noexcept;

    // For objects that move to another zone: what one is worth above L, its unseen uses included; and its place at the
    // end of its queue with that worth. Those worth most come first.
    uint64_t heat_locked(uint32_t ref) const noexcept;
    void settle_locked(uint32_t ref, uint64_t heat, uint8_t uses) noexcept;

    uint64_t count() const noexcept { return header_->count; }
    uint64_t bytes() const noexcept { return header_->bytes; }
    // A link was nonsense and its queue was let go: the shard wants repair.
    bool is_broken_locked() const noexcept { return header_->broken_links != 0; }

    // ---- repair ------------------------------------------------------------------------------------------
    void clear_locked() noexcept;                     // empties the queues; L and ghosts stay
    void push_rebuilt_locked(uint32_t ref) noexcept;  // keeps its use counter, which counts towards H

    // nullptr when E1-E3 hold, else what does not, in words.
    const char* audit_locked() const noexcept;

private:
    enum class Age : uint8_t { kNew, kRebuilt };

    bool is_ref(uint32_t ref) const noexcept { return ref >= first_ref_ && ref < end_ref_; }
    Entry* entry(uint32_t ref) const noexcept {
        return reinterpret_cast<Entry*>(base_ + uint64_t{ref} * kRefBytes + kRunHeaderBytes);
    }
    uint32_t* ghost_set(uint64_t digest_hi, uint64_t digest_lo, uint32_t* tag) const noexcept;
    uint32_t ghost_tick(uint32_t clock) const noexcept;

    void push(uint32_t ref, Age age) noexcept;
    void link_head(uint32_t q, uint32_t ref) noexcept;
    void link_tail(uint32_t q, uint32_t ref) noexcept;
    void account(uint32_t q, Entry* e) noexcept;
    bool unlink(uint32_t ref) noexcept;
    uint32_t let_go(uint32_t q) noexcept;
    uint32_t tail_of(uint32_t q) noexcept;
    void go_round(uint32_t q, uint32_t ref, uint32_t uses_x2) noexcept;
    uint32_t find_dead_tail(uint32_t now_sec, const VictimRules& rules) noexcept;
    void prefetch_entry(uint32_t ref) const noexcept;
    uint32_t find_least(const VictimRules& rules) noexcept;
    uint32_t find_small_or_main(const VictimRules& rules) noexcept;
    uint32_t find_unpinned_tail(const VictimRules& rules) noexcept;
    uint64_t worth_left(const Entry& e) const noexcept;
    uint64_t place_left(const Entry& e) const noexcept;
    static const EvictPolicy& policy_of(Eviction id) noexcept;
    void remember(const Entry& e) noexcept;
    bool recall(const Entry& e) noexcept;
    const char* audit_queue(uint32_t q) const noexcept;

    char* base_;
    EvictHeader* header_;
    uint32_t first_ref_;
    uint32_t end_ref_;
    uint32_t ghost_sets_;  // of 16 cells
    const EvictPolicy& policy_;
};

}  // namespace slab_cache::shm
