#include "shm/purge.h"

#include "base/hash.h"
#include "shm/counters.h"
#include "shm/lock.h"
#include "shm/prior.h"
#include "shm/store.h"
#include "shm/worker.h"
#include "shm/zone_plan.h"

namespace slab_cache::shm {
namespace {

// Both modes of a fingerprint share a set; 0 means an empty record and is mapped away.
uint64_t record_key(uint64_t fingerprint, PurgeMode mode) noexcept {
    const uint64_t key = fingerprint & ~uint64_t{1};
    return (key != 0 ? key : 2) | (mode == PurgeMode::kSoft ? 1 : 0);
}

PurgeSet* set_of(const Context& c, RecordTable table, uint64_t key) noexcept {
    return purge_set(c, table, base::scale_to(base::mix64(key >> 1), c.geo.purge_sets));
}

constexpr uint32_t kAtOnce = 64;  // sets of records called from memory before they are looked at

struct Newest {
    uint64_t hard = 0;
    uint64_t soft = 0;
};

void raise(uint64_t* to, uint64_t x) noexcept { *to = x > *to ? x : *to; }

void look_up(const Context& c, RecordTable table, uint64_t fingerprint, Newest* newest) noexcept {
    const uint64_t hard = record_key(fingerprint, PurgeMode::kHard);
    const PurgeSet* set = set_of(c, table, hard);
    for (const PurgeRecord& r : set->record) {
        const uint64_t key = r.fingerprint.load_acquire();  // [purge-record] sees the seq stored before it
        if ((key | 1) == (hard | 1)) {
            raise((key & 1) != 0 ? &newest->soft : &newest->hard, r.seq.load_acquire());
        }
    }
    // After the records: whoever replaced the one we looked for has raised the floor before. [purge-floor]
    raise(&newest->hard, set->hard_floor.load_acquire());
    raise(&newest->soft, set->soft_floor.load_acquire());
}

void judge_by(const Context& c, RecordTable table, const uint64_t* fingerprints, uint32_t count,
              Newest* newest) noexcept {
    for (uint32_t from = 0; from < count; from += kAtOnce) {
        const uint32_t to = count - from < kAtOnce ? count : from + kAtOnce;
        for (uint32_t i = from; i < to; i++) {  // the sets lie anywhere: many of them on their way at once
            const auto* set =
                reinterpret_cast<const char*>(set_of(c, table, record_key(fingerprints[i], PurgeMode::kHard)));
            __builtin_prefetch(set);
            __builtin_prefetch(set + kLineBytes);
        }
        for (uint32_t i = from; i < to; i++) {
            look_up(c, table, fingerprints[i], newest);
        }
    }
}

// The record to write: the one of this key, an empty one, else the oldest, whose seq becomes the floor. Null: none.
PurgeRecord* make_room_locked(const Context& c, RecordTable table, uint64_t key, uint64_t seq) noexcept {
    PurgeSet* set = set_of(c, table, key & ~uint64_t{1});
    PurgeRecord* oldest = &set->record[0];
    PurgeRecord* empty = nullptr;
    for (PurgeRecord& r : set->record) {
        const uint64_t k = r.fingerprint.load_relaxed();  // relaxed: only lock holders write
        if (k == key) {
            return r.seq.load_relaxed() < seq ? &r : nullptr;
        }
        empty = k == 0 && empty == nullptr ? &r : empty;
        oldest = r.seq.load_relaxed() < oldest->seq.load_relaxed() ? &r : oldest;
    }
    if (empty != nullptr) {
        return empty;
    }
    // One taken over from a prior zone may itself be the oldest: then only its mark in the floor stays.
    const bool is_older = seq <= oldest->seq.load_relaxed();
    const uint64_t gone_seq = is_older ? seq : oldest->seq.load_relaxed();
    const uint64_t gone_key = is_older ? key : oldest->fingerprint.load_relaxed();
    Atom<uint64_t>& floor = (gone_key & 1) != 0 ? set->soft_floor : set->hard_floor;
    if (floor.load_relaxed() < gone_seq) {
        floor.store_release(gone_seq);  // [purge-floor] before the key goes
        count(c, table == RecordTable::kPurges ? Counter::kPurgeFloorRaised : Counter::kInvalidationFloorRaised);
    }
    return is_older ? nullptr : oldest;
}

void raise_to(Atom<uint64_t>* at, uint64_t x) noexcept {
    uint64_t seen = at->load_acquire();              // [purge-seq]
    while (seen < x && !at->cas_acq_rel(seen, x)) {  // [purge-seq]
    }
}

Atom<uint64_t>* all_of(const Context& c, PurgeMode mode) noexcept {
    switch (mode) {
    case PurgeMode::kSoft:
        return &c.zone->all_soft;
    case PurgeMode::kDoubt:
        return &c.zone->all_doubt;
    case PurgeMode::kHard:
        break;
    }
    return &c.zone->all_hard;
}

// All that was born up to now, without the lock: `all` first, so that no reader of the counter misses it.
uint64_t purge_all_unlocked(const Context& c, PurgeMode mode) noexcept {
    uint64_t seen = purge_counter(c);
    do {
        raise_to(all_of(c, mode), seen + 1);
    } while (!c.zone->purge_seq.cas_seq_cst(seen, seen + 1));  // [purge-seq]
    return seen + 1;
}

// 0: the lock was busy for too long.
template <class WriteFn>
uint64_t purge_here(Context* c, const WriteFn& write, const uint64_t* forwarded) noexcept {
    uint64_t seq = 0;
    if (!lock_purges(c, &seq)) {
        return 0;
    }
    write(*c, seq);
    seq = publish_purge_locked(*c, seq);
    for (uint32_t i = 0; forwarded != nullptr && i < c->priors; i++) {
        if (forwarded[i] != 0) {
            note_forwarded_locked(*c, i, forwarded[i]);
        }
    }
    unlock_purges(c);
    return seq;
}

// In the prior zones first: what this zone then publishes may be noted as done there.
template <class WriteFn>
uint64_t purge_everywhere(Context* c, const WriteFn& write) noexcept {
    uint64_t forwarded[kMaxPriors] = {};
    for (uint32_t i = 0; i < c->priors; i++) {
        Context old;
        if (is_open_prior(*c, i) && context_of_prior(*c, i, &old)) {
            forwarded[i] = purge_here(&old, write, nullptr);
            if (forwarded[i] == 0) {
                return 0;
            }
        }
    }
    return purge_here(c, write, forwarded);
}

}  // namespace

uint64_t purge_counter(const Context& c) noexcept {
    return c.zone->purge_seq.load_seq_cst();  // [purge-seq]
}

Validity judge(const Context& c, const uint64_t* fingerprints, uint32_t count, uint64_t birth) noexcept {
    Newest newest;
    newest.hard = c.zone->all_hard.load_acquire();            // [purge-seq]
    newest.soft = c.zone->all_soft.load_acquire();            // [purge-seq]
    const uint64_t doubt = c.zone->all_doubt.load_acquire();  // [purge-seq]
    judge_by(c, RecordTable::kPurges, fingerprints, count, &newest);
    if (c.zone->invalidated.load_acquire() > birth) {  // [purge-seq]
        judge_by(c, RecordTable::kInvalidations, fingerprints, count, &newest);
    }
    if (newest.hard > birth) {
        return Validity::kPurged;
    }
    if (doubt > birth) {
        return Validity::kDoubted;
    }
    return newest.soft > birth ? Validity::kSoftPurged : Validity::kValid;
}

void PurgeSection::add(uint64_t fingerprint, PurgeMode mode) noexcept {
    write_record_locked(c_, RecordTable::kPurges, record_key(fingerprint, mode), seq_);
}

uint64_t purge_fingerprints(Context* c, const uint64_t* fingerprints, uint32_t n, PurgeMode mode, PurgeFn more,
                            void* context) noexcept {
    if (n == 0 && more == nullptr) {
        return purge_counter(*c);
    }
    const uint64_t seq = purge_everywhere(c, [&](const Context& zone, uint64_t as_of) {
        for (uint32_t i = 0; i < n; i++) {
            write_record_locked(zone, RecordTable::kPurges, record_key(fingerprints[i], mode), as_of);
        }
        if (more != nullptr) {
            PurgeSection section(zone, as_of, zone.zone == c->zone);
            more(&section, context);
        }
    });
    count(*c, Counter::kPurges, n);
    return seq;
}

uint64_t invalidate_fingerprints(Context* c, const uint64_t* fingerprints, uint32_t n, PurgeMode mode) noexcept {
    const uint64_t seq = purge_everywhere(c, [&](const Context& zone, uint64_t as_of) {
        announce_invalidation_locked(zone, as_of);
        for (uint32_t i = 0; i < n; i++) {
            write_record_locked(zone, RecordTable::kInvalidations, record_key(fingerprints[i], mode), as_of);
        }
    });
    count(*c, Counter::kInvalidations, n);
    return seq;
}

uint32_t invalidation_records(const Context& c) noexcept { return c.geo.purge_sets * PurgeSet::kRecords; }

uint64_t purge_everything(Context* c, PurgeMode mode, PurgeFn more, void* context) noexcept {
    const uint64_t seq = purge_everywhere(c, [&](const Context& zone, uint64_t as_of) {
        raise_to(all_of(zone, mode), as_of);
        if (more != nullptr) {
            PurgeSection section(zone, as_of, zone.zone == c->zone);
            more(&section, context);
        }
    });
    count(*c, Counter::kPurges);
    return seq;
}

uint64_t purge_everything_now(Context* c, PurgeMode mode) noexcept {
    for (uint32_t i = 0; i < c->priors; i++) {
        Context old;
        if (is_open_prior(*c, i) && context_of_prior(*c, i, &old)) {
            (void) purge_all_unlocked(old, mode);
        }
    }
    count(*c, Counter::kPurges);
    return purge_all_unlocked(*c, mode);
}

uint64_t advance_purges(Context* c) noexcept {
    return purge_here(
        c, [](const Context&, uint64_t) {}, nullptr);
}

bool lock_purges(Context* c, uint64_t* next_seq) noexcept {
    const LockAnswer answer = lock_patiently(c, &c->zone->purge_lock);
    if (answer == LockAnswer::kBusy) {
        return false;
    }
    if (answer == LockAnswer::kDirty) {
        finish_purge_locked(*c);
    }
    *next_seq = purge_counter(*c) + 1;
    return true;
}

PurgeSet* purge_set(const Context& c, RecordTable table, uint32_t i) noexcept {
    const uint64_t at = uint64_t{i} + (table == RecordTable::kInvalidations ? c.geo.purge_sets : 0);
    return region(c).at<PurgeSet>(c.geo.purges_offset + at * sizeof(PurgeSet));
}

void announce_invalidation_locked(const Context& c, uint64_t seq) noexcept { raise_to(&c.zone->invalidated, seq); }

void write_record_locked(const Context& c, RecordTable table, uint64_t key, uint64_t seq) noexcept {
    PurgeRecord* r = make_room_locked(c, table, key, seq);
    if (r == nullptr) {
        return;
    }
    // seq first: a reader that meets the old key with the new seq purges too much, never too little.
    r->seq.store_release(seq);
    r->fingerprint.store_release(key);  // [purge-record]
}

uint64_t publish_purge_locked(const Context& c, uint64_t seq) noexcept {
    // [purge-seq] after the records: whoever reads this counter finds them. seq_cst: a birth stamp taken after
    // purge() has returned, in any process, is not older than it.
    uint64_t seen = seq - 1;
    if (c.zone->purge_seq.cas_seq_cst(seen, seq)) {
        return seq;
    }
    // Somebody could not wait for us: what was born since counts as younger than the records just written.
    return purge_all_unlocked(c, PurgeMode::kHard);
}

void unlock_purges(Context* c) noexcept { unlock(&c->zone->purge_lock); }

void mend_purges(const Context& c) noexcept {
    const uint64_t seq = c.zone->purge_seq.load_relaxed();
    bool ahead = false;
    const auto mend = [&](Atom<uint64_t>* at) {
        if (at->load_relaxed() > seq) {
            at->store_relaxed(0);
            ahead = true;
        }
    };
    mend(&c.zone->all_hard);
    mend(&c.zone->all_soft);
    mend(&c.zone->all_doubt);
    mend(&c.zone->invalidated);
    for (uint32_t i = 0; i < 2 * c.geo.purge_sets; i++) {
        auto* set = region(c).at<PurgeSet>(c.geo.purges_offset + uint64_t{i} * sizeof(PurgeSet));
        for (PurgeRecord& r : set->record) {
            mend(&r.seq);
        }
        mend(&set->hard_floor);
        mend(&set->soft_floor);
    }
    if (ahead) {
        c.zone->all_hard.store_relaxed(seq + 1);
        c.zone->purge_seq.store_seq_cst(seq + 1);  // [purge-seq]
        count(c, Counter::kCorruptSeen);
    }
}

void finish_purge_locked(const Context& c) noexcept {
    (void) c.zone->purge_seq.add_seq_cst(1);  // [purge-seq]
}

void finish_purge_of_dead(Context* c) noexcept {
    RobustLock* lock = &c->zone->purge_lock;
    const uint64_t owner = lock->owner.load_acquire();  // [lock-word]
    if (owner == 0 || is_alive(*c, owner)) {
        // Of a purge of everything that died before its counter was published: nothing could be stored until then.
        uint64_t seq = purge_counter(*c);
        if (owner == 0 && (c->zone->all_hard.load_acquire() == seq + 1 ||    // [purge-seq]
                           c->zone->all_doubt.load_acquire() == seq + 1)) {  // [purge-seq]
            (void) c->zone->purge_seq.cas_seq_cst(seq, seq + 1);             // [purge-seq]
        }
        return;
    }
    const LockAnswer answer = try_lock(c, lock);
    if (answer == LockAnswer::kDirty) {
        finish_purge_locked(*c);
    }
    if (answer != LockAnswer::kBusy) {
        unlock(lock);
    }
}

}  // namespace slab_cache::shm
