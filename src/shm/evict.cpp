#include "shm/evict.h"

#include <cstring>

#include "base/check.h"
#include "base/hash.h"

namespace slab_cache::shm {

namespace {

constexpr uint32_t kRecalledUsesX2 = 4;
constexpr uint32_t kSmallShare = 10;  // the small queue may hold 1/10 of all bytes
constexpr uint32_t kAhead = 8;        // victims called from memory before they are picked
constexpr uint64_t kNoWorth = ~uint64_t{0};

// A ghost cell is tag:20 and tick:12. It counts until as many victims came as there are entries.
constexpr uint32_t kGhostWays = kLineBytes / sizeof(uint32_t);
constexpr uint32_t kTickBits = 12;
constexpr uint32_t kTickMask = (1U << kTickBits) - 1;
constexpr uint32_t kTicksPerTable = 1024;  // ticks while as many victims pass as the table has cells

uint32_t uses_of(const Entry& e) { return e.freq.load_relaxed() & 3U; }

bool is_pinned(const VictimRules& rules, uint32_t ref) {
    return rules.is_pinned != nullptr && rules.is_pinned(ref, rules.context);
}

}  // namespace

uint64_t EvictQueues::metadata_bytes(uint64_t objects) noexcept {
    const uint64_t sets = objects / kGhostWays + 1;
    return sizeof(EvictHeader) + sets * kLineBytes;
}

void EvictQueues::format_locked(uint64_t metadata_bytes) noexcept {
    std::memset(static_cast<void*>(header_), 0, metadata_bytes);
}

void EvictQueues::clear_locked() noexcept {
    const uint64_t floor = header_->floor;
    const uint32_t clock = header_->ghost_clock;
    std::memset(static_cast<void*>(header_), 0, sizeof(EvictHeader));
    header_->floor = floor;
    header_->ghost_clock = clock;
}

// ---- ghosts -------------------------------------------------------------------------------------

uint32_t* EvictQueues::ghost_set(uint64_t digest_hi, uint64_t digest_lo, uint32_t* tag) const noexcept {
    const uint64_t h = base::mix64(digest_hi, digest_lo);
    const uint32_t low = static_cast<uint32_t>(h) >> kTickBits;
    *tag = low == 0 ? 1 : low;  // 0 is an empty cell
    auto* cells = reinterpret_cast<uint32_t*>(header_ + 1);
    return cells + uint64_t{base::scale_to(h, ghost_sets_)} * kGhostWays;
}

uint32_t EvictQueues::ghost_tick(uint32_t clock) const noexcept {
    const uint32_t cells = ghost_sets_ * kGhostWays;
    return clock / (cells < kTicksPerTable ? 1 : cells / kTicksPerTable);
}

void EvictQueues::remember(const Entry& e) noexcept {
    uint32_t tag;
    uint32_t* cell = ghost_set(e.fixed.digest_hi, e.fixed.digest_lo, &tag);
    const uint32_t now = ghost_tick(++header_->ghost_clock);
    uint32_t oldest = 0;
    uint32_t oldest_age = 0;
    for (uint32_t i = 0; i < kGhostWays; i++) {
        const uint32_t age = cell[i] == 0 ? kTickMask + 1 : (now - cell[i]) & kTickMask;
        if (age > oldest_age) {
            oldest = i;
            oldest_age = age;
        }
    }
    cell[oldest] = tag << kTickBits | (now & kTickMask);
}

// Whether the entry was a victim not long ago. It is forgotten as a ghost with that.
bool EvictQueues::recall(const Entry& e) noexcept {
    uint32_t tag;
    uint32_t* cell = ghost_set(e.fixed.digest_hi, e.fixed.digest_lo, &tag);
    const uint32_t now = ghost_tick(header_->ghost_clock);
    const uint32_t limit = ghost_tick(header_->count) + 1;
    for (uint32_t i = 0; i < kGhostWays; i++) {
        if (cell[i] >> kTickBits == tag) {
            const uint32_t age = (now - cell[i]) & kTickMask;
            cell[i] = 0;
            return age < limit;
        }
    }
    return false;
}

// ---- queues -------------------------------------------------------------------------------------

void EvictQueues::account(uint32_t q, Entry* e) noexcept {
    EvictQueue& queue = header_->queue[q];
    const uint32_t bytes = e->occupied.load_relaxed();
    e->queue = static_cast<uint8_t>(q + 1);
    queue.count++;
    queue.bytes += bytes;
    header_->count++;
    header_->bytes += bytes;
    header_->used_queues |= uint64_t{1} << q;
}

void EvictQueues::link_head(uint32_t q, uint32_t ref) noexcept {
    EvictQueue& queue = header_->queue[q];
    Entry* e = entry(ref);
    e->prev = 0;
    e->next = is_ref(queue.head) ? queue.head : 0;
    if (e->next != 0) {
        entry(e->next)->prev = ref;
    } else {
        queue.tail = ref;
    }
    queue.head = ref;
    account(q, e);
}

void EvictQueues::link_tail(uint32_t q, uint32_t ref) noexcept {
    EvictQueue& queue = header_->queue[q];
    Entry* e = entry(ref);
    e->next = 0;
    e->prev = is_ref(queue.tail) ? queue.tail : 0;
    (e->prev != 0 ? entry(e->prev)->next : queue.head) = ref;
    queue.tail = ref;
    account(q, e);
}

// A link out of queue q is nonsense: what hangs there is out of reach until repair.
uint32_t EvictQueues::let_go(uint32_t q) noexcept {
    EvictQueue& queue = header_->queue[q];
    header_->broken_links++;
    header_->count -= queue.count;
    header_->bytes -= queue.bytes;
    header_->used_queues &= ~(uint64_t{1} << q);
    queue = {};
    return 0;
}

bool EvictQueues::unlink(uint32_t ref) noexcept {
    Entry* e = entry(ref);
    if (e->queue == 0 || e->queue > EvictHeader::kQueues) {
        return false;
    }
    const uint32_t q = e->queue - 1U;
    EvictQueue& queue = header_->queue[q];
    const uint32_t prev = e->prev;
    const uint32_t next = e->next;
    e->queue = 0;
    const bool is_sane = (prev == 0 ? queue.head == ref : is_ref(prev) && entry(prev)->next == ref) &&
                         (next == 0 ? queue.tail == ref : is_ref(next) && entry(next)->prev == ref);
    if (!is_sane) {
        let_go(q);
        return true;
    }
    (prev == 0 ? queue.head : entry(prev)->next) = next;
    (next == 0 ? queue.tail : entry(next)->prev) = prev;
    const uint32_t bytes = e->occupied.load_relaxed();
    queue.count--;
    queue.bytes -= bytes;
    header_->count--;
    header_->bytes -= bytes;
    if (queue.head == 0) {
        header_->used_queues &= ~(uint64_t{1} << q);
    }
    return true;
}

void EvictQueues::push(uint32_t ref, Age age) noexcept {
    Entry* e = entry(ref);
    const bool is_recalled = age == Age::kNew && recall(*e);
    if (age == Age::kNew) {
        e->freq.store_relaxed(0);
    }
    const uint32_t bytes = e->occupied.load_relaxed();
    const uint32_t uses_x2 =
        age == Age::kNew ? (is_recalled ? kRecalledUsesX2 : policy_.newcomer_uses_x2) : 2 * (uses_of(*e) + 1);
    const bool is_proven = is_recalled || uses_of(*e) > 0;
    e->value = header_->floor + policy_.worth(uses_x2, bytes);
    link_head(policy_.queue_of(bytes, is_proven), ref);
}

void EvictQueues::push_locked(uint32_t ref) noexcept {
    SLAB_DCHECK(is_ref(ref) && entry(ref)->queue == 0);
    push(ref, Age::kNew);
}

void EvictQueues::push_rebuilt_locked(uint32_t ref) noexcept {
    SLAB_DCHECK(is_ref(ref));
    push(ref, Age::kRebuilt);
}

bool EvictQueues::remove_locked(uint32_t ref) noexcept { return is_ref(ref) && unlink(ref); }

// ---- moving -------------------------------------------------------------------------------------

uint64_t EvictQueues::heat_locked(uint32_t ref) const noexcept { return (this->*policy_.heat)(*entry(ref)); }

uint64_t EvictQueues::worth_left(const Entry& e) const noexcept {
    const uint32_t uses = uses_of(e);
    const uint64_t left = e.value > header_->floor ? e.value - header_->floor : 0;
    const uint64_t seen = uses != 0 ? policy_.worth(2 * (uses + 1), e.occupied.load_relaxed()) : 0;
    return left > seen ? left : seen;
}

uint64_t EvictQueues::place_left(const Entry& e) const noexcept {
    return uses_of(e) + (e.queue == kMainQueue + 1 ? kMaxUsesX2 : 0);
}

void EvictQueues::settle_locked(uint32_t ref, uint64_t heat, uint8_t uses) noexcept {
    if (!remove_locked(ref)) {
        return;
    }
    Entry* e = entry(ref);
    const uint32_t bytes = e->occupied.load_relaxed();
    const uint64_t most = policy_.worth(kMaxUsesX2, bytes);
    e->freq.store_relaxed(uses & 3U);  // relaxed: a count that anybody may lose
    e->value = header_->floor + (heat < most ? heat : most);
    link_tail(policy_.queue_of(bytes, uses != 0 || heat >= kMaxUsesX2), ref);
}

// ---- victims ------------------------------------------------------------------------------------

// 0 for an empty queue.
uint32_t EvictQueues::tail_of(uint32_t q) noexcept {
    const uint32_t ref = header_->queue[q].tail;
    return ref == 0 || is_ref(ref) ? ref : let_go(q);
}

// To the head of queue q, worth what `uses` make it from now on.
void EvictQueues::go_round(uint32_t q, uint32_t ref, uint32_t uses_x2) noexcept {
    Entry* e = entry(ref);
    if (unlink(ref)) {
        e->value = header_->floor + policy_.worth(uses_x2, e->occupied.load_relaxed());
        link_head(q, ref);
    }
}

uint32_t EvictQueues::find_dead_tail(uint32_t now_sec, const VictimRules& rules) noexcept {
    for (uint64_t left = header_->used_queues; left != 0; left &= left - 1) {
        const uint32_t ref = tail_of(static_cast<uint32_t>(__builtin_ctzll(left)));
        if (ref == 0) {
            continue;
        }
        const Entry* e = entry(ref);
        const bool is_dead =
            e->stale_until.load_relaxed() < now_sec || (rules.is_dead != nullptr && rules.is_dead(*e, rules.context));
        if (is_dead && !is_pinned(rules, ref)) {
            return ref;
        }
    }
    return 0;
}

uint32_t EvictQueues::find_unpinned_tail(const VictimRules& rules) noexcept {
    for (uint64_t left = header_->used_queues; left != 0; left &= left - 1) {
        const uint32_t ref = tail_of(static_cast<uint32_t>(__builtin_ctzll(left)));
        if (ref != 0 && !is_pinned(rules, ref)) {
            return ref;
        }
    }
    return 0;
}

void EvictQueues::prefetch_entry(uint32_t ref) const noexcept {
    if (is_ref(ref)) {
        __builtin_prefetch(entry(ref), 1);  // run header, digest
        __builtin_prefetch(&entry(ref)->value, 1);
    }
}

// What was stored one after the other lies one after the other, most likely. All at once: the page walks overlap.
void EvictQueues::prefetch_victims_behind(uint32_t ref, bool first) const noexcept {
    const uint32_t step = entry(ref)->occupied.load_relaxed() / kRefBytes;
    for (uint32_t i = first ? 1 : kAhead; i <= kAhead; i++) {
        prefetch_entry(ref + i * step);
    }
    // The next one has come by now: where will its ghost be?
    if (const uint32_t next = entry(ref)->prev; !first && is_ref(next)) {
        prefetch(entry(next)->fixed.digest_hi, entry(next)->fixed.digest_lo);
    }
}

// GD-CLOCK: the tail with the least H that is neither pinned nor used since it last went round.
uint32_t EvictQueues::find_least(const VictimRules& rules) noexcept {
    uint64_t h[EvictHeader::kQueues];
    const auto load = [&](uint32_t q) {
        const uint32_t ref = tail_of(q);
        h[q] = ref == 0 ? kNoWorth : entry(ref)->value;
    };
    const uint64_t queues = header_->used_queues;
    for (uint64_t left = queues; left != 0; left &= left - 1) {
        load(static_cast<uint32_t>(__builtin_ctzll(left)));
    }
    for (uint32_t step = 0; step < kMaxSteps; step++) {
        uint32_t least = 0;
        uint64_t least_h = kNoWorth;
        for (uint64_t left = queues; left != 0; left &= left - 1) {
            const auto q = static_cast<uint32_t>(__builtin_ctzll(left));
            least = h[q] < least_h ? q : least;
            least_h = h[q] < least_h ? h[q] : least_h;
        }
        if (least_h == kNoWorth) {
            return 0;
        }
        const uint32_t ref = header_->queue[least].tail;
        const uint32_t uses = uses_of(*entry(ref));
        if (uses == 0 && !is_pinned(rules, ref)) {
            prefetch_entry(entry(ref)->prev);  // becomes the tail
            header_->floor = least_h > header_->floor ? least_h : header_->floor;
            return ref;
        }
        entry(ref)->freq.store_relaxed(static_cast<uint8_t>(uses == 0 ? 0 : uses - 1));
        go_round(least, ref, 2 * (uses + 1));
        load(least);
    }
    return find_unpinned_tail(rules);
}

// S3-FIFO: from the small queue while it holds more than its share, else from the main one.
uint32_t EvictQueues::find_small_or_main(const VictimRules& rules) noexcept {
    for (uint32_t step = 0; step < kMaxSteps && header_->used_queues != 0; step++) {
        const bool small =
            header_->queue[kSmallQueue].bytes * kSmallShare > header_->bytes || header_->queue[kMainQueue].count == 0;
        const uint32_t ref = tail_of(small ? kSmallQueue : kMainQueue);
        if (ref == 0) {
            continue;
        }
        Entry* e = entry(ref);
        const uint32_t uses = uses_of(*e);
        if (uses == 0 && !is_pinned(rules, ref)) {
            return ref;
        }
        e->freq.store_relaxed(static_cast<uint8_t>(small || uses == 0 ? 0 : uses - 1));
        go_round(kMainQueue, ref, 2);
    }
    return find_unpinned_tail(rules);
}

uint32_t EvictQueues::pick_victim_locked(uint32_t now_sec, const VictimRules& rules) noexcept {
    uint32_t ref = find_dead_tail(now_sec, rules);
    if (ref == 0) {
        ref = (this->*policy_.find)(rules);
        if (ref != 0 && policy_.leaves_ghost(entry(ref)->queue - 1U)) {
            remember(*entry(ref));
        }
    }
    if (ref != 0) {
        unlink(ref);
    }
    return ref;
}

// ---- audit --------------------------------------------------------------------------------------

const char* EvictQueues::audit_queue(uint32_t q) const noexcept {
    const EvictQueue& queue = header_->queue[q];
    uint64_t bytes = 0;
    uint32_t count = 0;
    uint32_t prev = 0;
    for (uint32_t ref = queue.head; ref != 0; ref = entry(ref)->next) {
        if (!is_ref(ref) || ++count > queue.count) {
            return "eviction queue leaves the blocks or is cyclic";
        }
        const Entry* e = entry(ref);
        const uint32_t size = e->occupied.load_relaxed();
        if (e->queue != q + 1 || e->prev != prev) {
            return "entry's queue or back link is wrong";
        }
        if (e->value > header_->floor + policy_.worth(kMaxUsesX2, size)) {
            return "entry is worth more than it can be";
        }
        bytes += size;
        prev = ref;
    }
    const bool is_mapped = (header_->used_queues >> q & 1) != 0;
    return prev == queue.tail && count == queue.count && bytes == queue.bytes && is_mapped == (count != 0)
               ? nullptr
               : "eviction queue's tail, count, bytes or map is wrong";
}

const char* EvictQueues::audit_locked() const noexcept {
    uint64_t bytes = 0;
    uint64_t count = 0;
    for (uint32_t q = 0; q < EvictHeader::kQueues; q++) {
        const char* wrong = audit_queue(q);
        if (wrong != nullptr) {
            return wrong;
        }
        bytes += header_->queue[q].bytes;
        count += header_->queue[q].count;
    }
    return bytes == header_->bytes && count == header_->count ? nullptr : "eviction totals differ from the queues";
}

}  // namespace slab_cache::shm
