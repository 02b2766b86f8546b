// shm/evict_policy.h — what differs from one eviction policy to the next: a row each (evict_policy.cpp).
//
// Adding one  a value of Eviction (types.h), and a row. The directive, the queues, repair, resize and audit go by the row.
// Threading   Rows are constants. What they point to runs under the shard's lock.
#pragma once

#include <cstdint>
#include <string_view>

#include "shm/types.h"

namespace slab_cache::shm {

class EvictQueues;
struct Entry;
struct VictimRules;

struct EvictPolicy {
    Eviction id;
    std::string_view word;  // eviction=WORD of slab_cache_zone
    // What an entry is worth above L, with 44 binary places. Uses come doubled, because a newcomer may count half.
    uint64_t (*worth)(uint32_t uses_x2, uint32_t bytes) noexcept;
    uint32_t newcomer_uses_x2;
    // The queue, below EvictHeader::kQueues, of an entry; is_proven: it was used, or came back soon after it had gone.
    uint32_t (*queue_of)(uint32_t bytes, bool is_proven) noexcept;
    // Does a victim out of this queue leave a ghost?
    bool (*leaves_ghost)(uint32_t queue) noexcept;
    // What is left of its worth; for moving to another zone.
    uint64_t (EvictQueues::*heat)(const Entry& entry) const noexcept;
    // The next victim, left in its queue; 0 for none.
    uint32_t (EvictQueues::*find)(const VictimRules& rules) noexcept;
};

// 2 * (3 + 1): the use counter has two bits, and the first use is the one that stored it.
constexpr uint32_t kMaxUsesX2 = 8;

// The queues of S3-FIFO.
constexpr uint32_t kSmallQueue = 0;
constexpr uint32_t kMainQueue = 1;

}  // namespace slab_cache::shm
