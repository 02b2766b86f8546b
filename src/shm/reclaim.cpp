#include "shm/reclaim.h"

#include <stdlib.h>

#include "shm/entry_runs.h"
#include "shm/counters.h"
#include "shm/lock.h"
#include "shm/worker.h"

namespace slab_cache::shm {
namespace {

// SLAB_BROKEN_TWIN is set only in copies that tests/stress/pin_torture must find broken:
// 1 publishes by a plain store, 2 does not look again.
void publish_hazard(Atom<uint32_t>* slot, uint32_t ref) noexcept {
#if defined(SLAB_BROKEN_TWIN) && SLAB_BROKEN_TWIN == 1
    slot->store_release(ref);
#else
    // [pin-publish] seq_cst read-modify-write: the second look below may not pass it. A writer that unlinks
    // after that look sees the slot in scan_slots(). On x86 one xchg; a store with mfence costs seven times it.
    slot->exchange_seq_cst(ref);
#endif
}

bool still_holds(const Atom<uint64_t>& source, uint64_t word) noexcept {
#if defined(SLAB_BROKEN_TWIN) && SLAB_BROKEN_TWIN == 2
    static_cast<void>(source);
    static_cast<void>(word);
    return true;
#else
    // [index-unlink] this sees the unlink, or the writer's scan sees our slot
    return source.load_seq_cst() == word;
#endif
}

uint32_t home(uint32_t ref) noexcept { return static_cast<uint32_t>(base::mix64(ref)) % LocalPins::kMap; }

LocalPins::Cell* find_cell(LocalPins* l, uint32_t ref) noexcept {
    for (uint32_t i = home(ref);; i = (i + 1) % LocalPins::kMap) {
        if (l->map[i].ref == ref || l->map[i].ref == 0) {
            return &l->map[i];  // the map is at most half full: an empty cell is near
        }
    }
}

void erase_cell(LocalPins* l, LocalPins::Cell* cell) noexcept {
    auto hole = static_cast<uint32_t>(cell - l->map);
    for (uint32_t i = (hole + 1) % LocalPins::kMap; l->map[i].ref != 0; i = (i + 1) % LocalPins::kMap) {
        const uint32_t distance = (i - home(l->map[i].ref)) % LocalPins::kMap;
        if (distance >= (i - hole) % LocalPins::kMap) {
            l->map[hole] = l->map[i];
            hole = i;
        }
    }
    l->map[hole].ref = 0;
}

// A slot of our own with the ref published in it; 0 when none is free.
uint32_t take_slot(LocalPins* l, uint32_t ref) noexcept {
    if (l->free_count == 0) {
        return 0;
    }
    const uint32_t slot = l->free_slots[--l->free_count];
    if (slot >= l->hiwater) {
        l->hiwater = slot + 1;
        // [hiwater] seq_cst, before the slot is used: a scan that does not see it is in the total order before
        // the publication, hence before our second look, which then sees the scanner's unlink.
        l->record->hiwater.store_seq_cst(l->hiwater);
    }
    publish_hazard(&l->slots[slot], ref);
    return slot;
}

void give_slot(LocalPins* l, uint32_t slot) noexcept {
    // [slot-clear] release: all our reads of the entry come before the slot is seen empty.
    l->slots[slot].store_release(0);
    l->free_slots[l->free_count++] = static_cast<uint16_t>(slot);
}

}  // namespace

LocalPins* make_local_pins(const Context& c) noexcept {
    auto* l = static_cast<LocalPins*>(calloc(1, sizeof(LocalPins)));
    if (l == nullptr) {
        return nullptr;
    }
    l->record = worker_record(c, c.worker - 1);
    l->unfinished = unfinished_cells(c, l->record);
    l->slots = slot_cells(c, l->record);
    l->hiwater = 1;
    for (uint32_t slot = c.geo.slots_per_worker - 1; slot > 0; slot--) {
        l->free_slots[l->free_count++] = static_cast<uint16_t>(slot);
    }
    return l;
}

void drop_local_pins(LocalPins* local) noexcept { free(local); }

PinAnswer pin_ref(const Context& c, const Atom<uint64_t>& source, uint64_t word) noexcept {
    LocalPins* l = c.local;
    const auto ref = static_cast<uint32_t>(word);
    LocalPins::Cell* cell = find_cell(l, ref);
    if (cell->ref != 0) {
        cell->count++;
        return PinAnswer::kPinned;
    }
    const uint32_t slot = take_slot(l, ref);
    if (slot == 0) {
        return PinAnswer::kBusy;
    }
    if (!still_holds(source, word)) {
        give_slot(l, slot);
        return PinAnswer::kChanged;
    }
    *cell = {ref, 1, static_cast<uint16_t>(slot), 0, 0};
    return PinAnswer::kPinned;
}

PinAnswer pin_held(const Context& c, uint32_t ref) noexcept {
    LocalPins::Cell* cell = find_cell(c.local, ref);
    if (cell->ref != 0) {
        cell->count++;
        return PinAnswer::kPinned;
    }
    const uint32_t slot = take_slot(c.local, ref);
    if (slot == 0) {
        return PinAnswer::kBusy;
    }
    *cell = {ref, 1, static_cast<uint16_t>(slot), 0, 0};
    return PinAnswer::kPinned;
}

void unpin_ref(const Context& c, uint32_t ref) noexcept {
    LocalPins::Cell* cell = find_cell(c.local, ref);
    SLAB_DCHECK(cell->ref == ref);
    if (cell->ref == ref && --cell->count == 0) {
        c.local->held -= cell->held;
        c.local->held_long -= cell->seconds >= LocalPins::kLong ? cell->held : 0;
        give_slot(c.local, cell->slot);
        erase_cell(c.local, cell);
    }
}

uint32_t pins_held(const LocalPins& local) noexcept {
    uint32_t n = 0;
    for (const LocalPins::Cell& cell : local.map) {
        n += cell.ref != 0 ? 1 : 0;
    }
    return n;
}

uint32_t weight_of(const Context& c, uint32_t ref) noexcept {
    const Entry* e = region(c).entry(ref);
    const uint32_t total = e->body_total.load_relaxed();  // relaxed, here and below: figures by themselves
    const uint32_t occupied = e->occupied.load_relaxed();
    return (total != kUnknownLength && total > occupied ? total : occupied) / kRefBytes + 1;
}

void hold_ref(const Context& c, uint32_t ref) noexcept {
    LocalPins* l = c.local;
    LocalPins::Cell* cell = find_cell(l, ref);
    if (cell->ref != ref) {
        return;
    }
    const uint32_t now = weight_of(c, ref);
    const uint32_t more = now > cell->held ? now - cell->held : 0;
    cell->held += more;
    l->held += more;
    l->held_long += cell->seconds >= LocalPins::kLong ? more : 0;
}

void hold_what_grew(const Context& c, uint32_t ref) noexcept {
    if (is_held(c, ref)) {
        hold_ref(c, ref);
    }
}

bool is_held(const Context& c, uint32_t ref) noexcept {
    const LocalPins::Cell* cell = find_cell(c.local, ref);
    return cell->ref == ref && cell->held != 0;
}

void age_holds(const Context& c) noexcept {
    for (LocalPins::Cell& cell : c.local->map) {
        if (cell.ref == 0 || cell.held == 0) {
            continue;
        }
        hold_ref(c, cell.ref);
        if (cell.seconds < LocalPins::kLong && ++cell.seconds == LocalPins::kLong) {
            c.local->held_long += cell.held;
        }
    }
}

const RefFilter& scan_slots(const Context& c) noexcept {
    LocalPins* l = c.local;
    l->filter.clear(++l->scans);  // a new seed each time: a false yes does not last
    for (uint32_t i = 0; i < c.geo.worker_count; i++) {
        WorkerRecord* w = worker_record(c, i);
        uint32_t n = w->hiwater.load_seq_cst();  // [hiwater]
        n = n < c.geo.slots_per_worker ? n : c.geo.slots_per_worker;
        const Atom<uint32_t>* slots = slot_cells(c, w);
        for (uint32_t s = 0; s < n; s++) {
            if (const uint32_t ref = slots[s].load_seq_cst(); ref != 0) {  // [pin-publish] [slot-clear]
                l->filter.add(ref);
            }
        }
    }
    return l->filter;
}

const RefFilter& last_scan(const Context& c) noexcept { return c.local->scans == 0 ? scan_slots(c) : c.local->filter; }

void retire_locked(const Context& c, Shard* shard, uint32_t ref) noexcept {
    Entry* e = region(c).entry(ref);
    e->state.store_release(static_cast<uint8_t>(EntryState::kRetired));  // [entry-state] it may be complete
    e->prev = 0;
    e->next = shard->retired_head;
    shard->retired_head = ref;
    shard->retired_count++;
    shard->retired_bytes += e->occupied.load_relaxed();  // relaxed: changes under the lock only
}

uint32_t reclaim_locked(const Context& c, Shard* shard) noexcept {
    if (shard->retired_head == 0) {
        shard->held_bytes.store_relaxed(0);  // relaxed, here and below: a figure by itself
        return 0;
    }
    const RefFilter& held = scan_slots(c);
    uint32_t freed = 0;
    uint32_t seen = 0;
    const uint32_t most = shard->retired_count;
    uint32_t* link = &shard->retired_head;
    while (*link != 0) {
        const uint32_t ref = *link;
        if (!is_entry(c, *shard, ref) || state_of(*region(c).entry(ref)) != EntryState::kRetired || seen++ == most) {
            *link = 0;  // nonsense, or a circle: the rest is found again by a repair
            report_nonsense_locked(c, shard);
            break;
        }
        Entry* e = region(c).entry(ref);
        if (held.may_hold(ref)) {
            link = &e->next;
            continue;
        }
        *link = e->next;
        shard->retired_count--;
        shard->retired_bytes -= e->occupied.load_relaxed();
        free_chain_locked(c, shard, ref);
        freed++;
    }
    count(c, Counter::kReclaimed, freed);
    shard->held_bytes.store_relaxed(shard->retired_bytes);
    count(c, Counter::kPinBudget, shard->retired_bytes > capacity(c) / 4 ? 1 : 0);
    return freed;
}

bool wants_reclaim_locked(const Context& c, const Shard& shard) noexcept {
    return shard.retired_count >= 32 || shard.retired_bytes > capacity(c) / 64;
}

bool retire_fills(Context* c, WorkerRecord* w) noexcept {
    Atom<uint32_t>* unfinished = unfinished_cells(*c, w);
    for (uint32_t i = 0; i < c->geo.unfinished_per_worker; i++) {
        const uint32_t ref = unfinished[i].load_acquire();  // [unfinished]
        Shard* shard = ref == 0 ? nullptr : shard_of_ref(*c, ref);
        if (shard == nullptr) {
            if (ref != 0) {
                unfinished[i].store_release(0);
            }
            continue;
        }
        ShardLock lock(c, shard, ShardLock::Patience::kUpkeep);
        if (!lock) {
            return false;
        }
        // Again, under the lock: a repair may have emptied the place, and somebody may fill at that ref since.
        if (unfinished[i].load_acquire() == ref) {  // [unfinished]
            drop_unfinished_locked(*c, shard, ref);
            unfinished[i].store_release(0);  // [unfinished]
        }
    }
    return true;
}

}  // namespace slab_cache::shm
