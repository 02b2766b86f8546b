#include "shm/lease.h"

#include <sched.h>

#include "base/hash.h"
#include "shm/counters.h"
#include "shm/reclaim.h"
#include "shm/worker.h"
#include "shm/zone_plan.h"

namespace slab_cache::shm {
namespace {

constexpr uint32_t kClaimTries = 400;  // then the caller fills without a lease
constexpr uint32_t kJoinQuietMs = 10;  // the same before somebody joins a stream; is_gone() is asked always
constexpr uint32_t kQuietMs = 200;     // without progress for so long, the owner's life is looked into
constexpr uint32_t kAbandoned = 0x7f;  // internal state: the owner was found dead

struct Word {
    uint32_t gen;
    uint8_t state;  // LeaseState + 1; 0 = never used
    uint8_t owner;
    uint16_t detail;
};

constexpr uint64_t pack(const Word& w) noexcept {
    return uint64_t{w.gen} << 32 | uint64_t{w.state} << 24 | uint64_t{w.owner} << 16 | w.detail;
}
constexpr Word unpack(uint64_t x) noexcept {
    return {static_cast<uint32_t>(x >> 32), static_cast<uint8_t>(x >> 24), static_cast<uint8_t>(x >> 16),
            static_cast<uint16_t>(x)};
}
constexpr uint8_t code(LeaseState s) noexcept { return static_cast<uint8_t>(static_cast<uint8_t>(s) + 1); }
constexpr bool is_active(const Word& w) noexcept {
    return w.state == code(LeaseState::kFetching) || w.state == code(LeaseState::kStreaming);
}

uint64_t tag_of(const Digest& d) noexcept { return base::mix64(d.hi, d.lo) | 1; }

LeaseSet* set_at(const Context& c, uint32_t i) noexcept {
    return region(c).at<LeaseSet>(c.geo.leases_offset + uint64_t{i} * sizeof(LeaseSet));
}
uint32_t set_index(const Context& c, uint64_t tag) noexcept {
    return base::scale_to(base::mix64(tag), c.geo.lease_sets);
}

LeaseCell* cell_of(const Context& c, const Ticket& t) noexcept {
    if (t.gen == 0 || t.cell / LeaseSet::kCells >= c.geo.lease_sets) {
        return nullptr;
    }
    return &set_at(c, t.cell / LeaseSet::kCells)->cell[t.cell % LeaseSet::kCells];
}

// A record that is being reaped has a dead tenant, however alive its reaper.
bool is_owner_alive(const Context& c, const Word& w) noexcept {
    const uint64_t owner = worker_record(c, w.owner)->owner.load_acquire();  // [record]
    return (owner & kReapingBit) == 0 && is_alive(c, owner);
}

// Dead, or silent for longer than allowed. /proc is read only when the owner has been quiet for a while.
bool is_overdue(const Context& c, const LeaseCell& cell, const Word& w, uint64_t now_ms, uint32_t silence_ms) noexcept {
    const uint64_t last = cell.progress_ms.load_acquire();  // [lease-progress]
    const uint64_t quiet = now_ms > last ? now_ms - last : 0;
    if (w.state == kAbandoned || quiet > silence_ms) {
        return true;
    }
    if (quiet < kQuietMs || w.owner >= c.geo.worker_count) {
        return false;
    }
    return !is_owner_alive(c, w);
}

// Joining what a dead process began would end as a cut body: so who joins looks more closely than who waits.
bool is_orphaned(const Context& c, const LeaseCell& cell, uint64_t now_ms) noexcept {
    const uint64_t last = cell.progress_ms.load_acquire();  // [lease-progress]
    const Word w = unpack(cell.word.load_seq_cst());        // [lease-word]
    if (w.owner >= c.geo.worker_count) {
        return false;
    }
    const uint64_t owner = worker_record(c, w.owner)->owner.load_acquire();  // [record]
    if ((owner & kReapingBit) != 0 || is_gone(c, owner)) {
        return true;
    }
    return now_ms > last + kJoinQuietMs && !is_owner_alive(c, w);
}

constexpr uint64_t growing_word(uint32_t gen, uint32_t ref) noexcept { return uint64_t{gen} << 32 | ref; }
constexpr uint32_t growing_gen(uint64_t word) noexcept { return static_cast<uint32_t>(word >> 32); }
constexpr uint32_t growing_ref(uint64_t word) noexcept { return static_cast<uint32_t>(word); }

// Puts the ref into the cell while it is still this tenancy's; false when it is another's.
bool set_growing(LeaseCell* cell, uint32_t gen, uint32_t ref) noexcept {
    uint64_t seen = cell->growing.load_seq_cst();
    while (growing_gen(seen) == gen) {
        if (cell->growing.cas_seq_cst(seen, growing_word(gen, ref))) {  // [lease-entry]
            return true;
        }
    }
    return false;
}

// Moves this tenancy to another state; false when it is no longer this tenancy, or over.
bool change(LeaseCell* cell, const Ticket& t, LeaseState to, uint32_t detail) noexcept {
    uint64_t x = cell->word.load_seq_cst();
    for (;;) {
        const Word w = unpack(x);
        if (w.gen != t.gen || !is_active(w)) {
            return false;
        }
        const auto d = static_cast<uint16_t>(detail < 0xffff ? detail : 0xffff);
        // [lease-word] seq_cst, before the bits are taken: see "Waking" in the header.
        if (cell->word.cas_seq_cst(x, pack({w.gen, code(to), w.owner, d}))) {
            return true;
        }
    }
}

void collect(LeaseCell* cell, WakeSet* wake) noexcept {
    for (uint32_t i = 0; i < WakeSet::kWords; i++) {
        if (cell->waiter[i].load_seq_cst() != 0) {                 // [lease-bit]
            wake->bits[i] |= cell->waiter[i].exchange_seq_cst(0);  // [lease-bit]
        }
    }
}

bool claim_set(Context* c, LeaseSet* set) noexcept {
    const uint64_t self = self_word(c);
    for (uint32_t i = 0; i < kClaimTries; i++) {
        uint64_t owner = 0;
        if (set->claim.cas_acq_rel(owner, self)) {  // [lease-claim]
            return true;
        }
        // Nothing is ever half-done inside: each step is one word. So a dead claimer is simply followed.
        if (i % 100 == 99 && !is_alive(*c, owner) && set->claim.cas_acq_rel(owner, self)) {
            return true;
        }
        if (i > 20) {
            sched_yield();  // the holder was preempted inside some 100 ns of work
        }
    }
    return false;
}

struct Choice {
    LeaseCell* active = nullptr;  // somebody fills this very key
    LeaseCell* free = nullptr;    // never used, finished, abandoned or overdue; the least recent one
    uint32_t active_index = 0, free_index = 0;
};

Choice choose(const Context& c, LeaseSet* set, uint64_t tag, uint64_t now_ms, uint32_t silence_ms) noexcept {
    Choice choice;
    uint64_t oldest = ~uint64_t{0};
    for (uint32_t i = 0; i < LeaseSet::kCells; i++) {
        LeaseCell* cell = &set->cell[i];
        const Word w = unpack(cell->word.load_seq_cst());
        if (is_active(w) && cell->tag.load_acquire() == tag) {
            choice.active = cell;
            choice.active_index = i;
            continue;
        }
        const bool usable = !is_active(w) || is_overdue(c, *cell, w, now_ms, silence_ms);
        const uint64_t last = w.state == 0 ? 0 : cell->progress_ms.load_acquire();
        if (usable && last < oldest) {
            oldest = last;
            choice.free = cell;
            choice.free_index = i;
        }
    }
    return choice;
}

// Under the set's claim: begins a new tenancy of the cell.
uint32_t take_locked(const Context& c, LeaseCell* cell, uint64_t tag, uint64_t now_ms) noexcept {
    uint64_t x = cell->word.load_seq_cst();
    uint32_t gen = 0;
    do {
        gen = unpack(x).gen + 1;
        gen += gen == 0 ? 1 : 0;
        // Closed first: nobody may take the new tag or progress for the old tenancy's.
    } while (!cell->word.cas_seq_cst(x, pack({gen, kAbandoned, 0, 0})));
    cell->growing.store_seq_cst(growing_word(gen, 0));  // [lease-entry] from here on the old owner's CAS fails
    cell->tag.store_release(tag);
    cell->progress_ms.store_release(now_ms);  // [lease-progress]
    const auto owner = static_cast<uint8_t>(c.worker - 1);
    cell->word.store_seq_cst(pack({gen, code(LeaseState::kFetching), owner, 0}));  // [lease-word]
    return gen;
}

}  // namespace

void prefetch_lease(const Context& c, const Digest& digest) noexcept {
    const auto* set = reinterpret_cast<const char*>(set_at(c, set_index(c, tag_of(digest))));
    for (size_t at = 0; at < sizeof(LeaseSet); at += kLineBytes) {
        __builtin_prefetch(set + at, 1);
    }
}

LeaseAnswer acquire_lease(Context* c, const Digest& digest, uint64_t now_ms, uint32_t silence_ms,
                          Ticket* ticket) noexcept {
    *ticket = {};
    const uint64_t tag = tag_of(digest);
    const uint32_t at = set_index(*c, tag);
    LeaseSet* set = set_at(*c, at);
    if (c->worker == 0 || !claim_set(c, set)) {
        count(*c, Counter::kLeaseUnavailable);
        return LeaseAnswer::kUnavailable;
    }
    const Choice choice = choose(*c, set, tag, now_ms, silence_ms);
    LeaseAnswer answer = LeaseAnswer::kUnavailable;
    const Word w = choice.active != nullptr ? unpack(choice.active->word.load_seq_cst()) : Word{};
    if (choice.active != nullptr && is_active(w) && !is_overdue(*c, *choice.active, w, now_ms, silence_ms)) {
        *ticket = {at * LeaseSet::kCells + choice.active_index, w.gen};
        answer = LeaseAnswer::kWait;
    } else if (LeaseCell* cell = choice.active != nullptr ? choice.active : choice.free; cell != nullptr) {
        count(*c, choice.active != nullptr ? Counter::kLeaseOvertaken : Counter::kLeases);
        const uint32_t index = choice.active != nullptr ? choice.active_index : choice.free_index;
        *ticket = {at * LeaseSet::kCells + index, take_locked(*c, cell, tag, now_ms)};
        answer = LeaseAnswer::kOwned;
    } else {
        count(*c, Counter::kLeaseUnavailable);
    }
    uint64_t self = c->self;
    set->claim.cas_acq_rel(self, 0);  // [lease-claim] CAS: it may have been overtaken
    return answer;
}

void progress_lease(const Context& c, const Ticket& ticket, uint64_t now_ms, WakeSet* wake) noexcept {
    LeaseCell* cell = cell_of(c, ticket);
    if (cell == nullptr || unpack(cell->word.load_seq_cst()).gen != ticket.gen) {
        return;
    }
    // CAS and only forward: a next tenancy that began meanwhile must not look silent by our clock.
    uint64_t last = cell->progress_ms.load_acquire();  // [lease-progress]
    if (last < now_ms) {
        cell->progress_ms.cas_acq_rel(last, now_ms);  // [lease-progress]
    }
    collect(cell, wake);
}

void attach_lease(const Context& c, const Ticket& ticket, uint32_t ref, WakeSet* wake) noexcept {
    LeaseCell* cell = cell_of(c, ticket);
    if (cell == nullptr || unpack(cell->word.load_seq_cst()).gen != ticket.gen) {
        return;
    }
    // Before the state that tells of it.
    if (set_growing(cell, ticket.gen, ref) && !change(cell, ticket, LeaseState::kStreaming, 0)) {
        set_growing(cell, ticket.gen, 0);  // overtaken between the two
    }
    collect(cell, wake);
}

void release_lease(const Context& c, const Ticket& ticket, LeaseState outcome, uint32_t detail,
                   WakeSet* wake) noexcept {
    LeaseCell* cell = cell_of(c, ticket);
    if (cell == nullptr) {
        return;
    }
    const bool ends =
        outcome == LeaseState::kPublished || outcome == LeaseState::kFailed || outcome == LeaseState::kPrivate;
    if (change(cell, ticket, ends ? outcome : LeaseState::kFailed, detail)) {
        set_growing(cell, ticket.gen, 0);
    }
    collect(cell, wake);  // also when it came too late: whoever waits here looks again
}

LeaseView watch_lease(const Context& c, const Ticket& ticket, uint64_t now_ms, uint32_t silence_ms) noexcept {
    LeaseCell* cell = cell_of(c, ticket);
    if (cell == nullptr || c.worker == 0) {
        return {};
    }
    const uint32_t me = c.worker - 1;
    const uint64_t bit = uint64_t{1} << (me % 64);
    if ((cell->waiter[me / 64].load_seq_cst() & bit) == 0) {
        cell->waiter[me / 64].or_seq_cst(bit);  // [lease-bit] before the word is read
    }
    const Word w = unpack(cell->word.load_seq_cst());  // [lease-word]
    if (w.gen != ticket.gen || w.state == 0) {
        return {};
    }
    if (w.state == kAbandoned || (is_active(w) && is_overdue(c, *cell, w, now_ms, silence_ms))) {
        const bool is_dead = w.state == kAbandoned || w.owner >= c.geo.worker_count || !is_owner_alive(c, w);
        return {LeaseState::kSilent, is_dead ? 1U : 0U};
    }
    return {static_cast<LeaseState>(w.state - 1), w.detail};
}

Status pin_lease(const Context& c, const Ticket& ticket, uint64_t now_ms, Pin* pin) noexcept {
    LeaseCell* cell = cell_of(c, ticket);
    const auto is_streaming = [&] {
        const Word w = unpack(cell->word.load_seq_cst());  // [lease-word]
        return w.gen == ticket.gen && w.state == code(LeaseState::kStreaming);
    };
    if (cell == nullptr || !is_streaming() || is_orphaned(c, *cell, now_ms)) {
        return Status::kMiss;
    }
    const uint64_t growing = cell->growing.load_seq_cst();  // [lease-entry]
    const uint32_t ref = growing_ref(growing);
    if (growing_gen(growing) != ticket.gen || ref == 0 || shard_of_ref(c, ref) == nullptr) {
        return is_streaming() ? Status::kBusy : Status::kMiss;
    }
    if (pin_ref(c, cell->growing, growing) != PinAnswer::kPinned) {
        return Status::kBusy;
    }
    *pin = {region(c).entry(ref), ref};
    return Status::kOk;
}

void hide_growing(const Context& c, const Digest& digest, uint32_t ref) noexcept {
    LeaseSet* set = set_at(c, set_index(c, tag_of(digest)));
    for (LeaseCell& cell : set->cell) {
        const uint64_t seen = cell.growing.load_relaxed();  // relaxed: our own, or its owner is dead
        if (growing_ref(seen) == ref) {
            uint64_t expected = seen;
            cell.growing.cas_seq_cst(expected, growing_word(growing_gen(seen), 0));  // [lease-entry]
        }
    }
}

void abandon_leases(Context* c, uint32_t worker_index, WakeSet* wake) noexcept {
    for (uint32_t i = 0; i < c->geo.lease_sets * LeaseSet::kCells; i++) {
        LeaseCell* cell = &set_at(*c, i / LeaseSet::kCells)->cell[i % LeaseSet::kCells];
        uint64_t x = cell->word.load_seq_cst();
        const Word w = unpack(x);
        if (is_active(w) && w.owner == worker_index &&
            cell->word.cas_seq_cst(x, pack({w.gen, kAbandoned, w.owner, 0}))) {  // [lease-word]
            set_growing(cell, w.gen, 0);
            if (wake != nullptr) {
                collect(cell, wake);
            }
        }
    }
}

void clear_leases(const Context& c) noexcept {
    std::memset(static_cast<void*>(set_at(c, 0)), 0, uint64_t{c.geo.lease_sets} * sizeof(LeaseSet));
}

}  // namespace slab_cache::shm
