// Figures, and the check of every invariant.
#include "shm/entry_runs.h"
#include "shm/index.h"
#include "shm/lock.h"
#include "shm/purge.h"
#include "shm/reclaim.h"
#include "shm/store_context.h"
#include "shm/worker.h"

namespace slab_cache::shm {
namespace {

void add_shard(Context* c, uint32_t i, Stats* out) noexcept {
    Shard* s = shard_at(*c, i);
    out->capacity_bytes += capacity(*c);
    out->index_slots += uint64_t{c->geo.bucket_count + c->geo.overflow_count} * Bucket::kSlots;
    ShardLock lock(c, s, ShardLock::Patience::kUpkeep);
    if (!lock) {
        return;
    }
    const Space space = space_of(*c, *s);
    out->used_bytes += space.used_bytes();
    out->blocks_free += space.block_count(BlockMode::kFree);
    out->blocks_page += space.block_count(BlockMode::kPage);
    out->blocks_tail += space.block_count(BlockMode::kTail);
    out->live_bytes += s->live_bytes;
    out->retired_bytes += s->retired_bytes;
    out->filling_bytes += s->filling_bytes;
    out->entries += s->entries;
    const uint64_t age = s->eviction_age_sec.load_relaxed();
    out->eviction_age_sec = age > out->eviction_age_sec ? age : out->eviction_age_sec;
}

void add_workers(const Context& c, Stats* out) noexcept {
    for (uint32_t i = 0; i < c.geo.worker_count; i++) {
        WorkerRecord* w = worker_record(c, i);
        const uint64_t owner = w->owner.load_acquire();  // [record]
        out->workers_live += owner != 0 && (owner & kReapingBit) == 0 ? 1 : 0;
        out->workers_draining += (owner & kReapingBit) != 0 ? 1 : 0;
        const Atom<uint32_t>* slots = slot_cells(c, w);
        const uint32_t n = w->hiwater.load_acquire();  // [hiwater]
        for (uint32_t s = 0; s < n && s < c.geo.slots_per_worker; s++) {
            out->pins += slots[s].load_relaxed() != 0 ? 1 : 0;
        }
    }
}

template <class Fn>
void for_each_purge_set(const Context& c, Fn fn) noexcept {
    for (uint32_t i = 0; i < c.geo.purge_sets; i++) {
        fn(*purge_set(c, RecordTable::kPurges, i));
        fn(*purge_set(c, RecordTable::kInvalidations, i));
    }
}

class Auditor {
public:
    Auditor(Context* c, Audit* out) noexcept : c_(c), out_(out) {}

    void run() noexcept {
        audit_purges();
        for (uint32_t i = 0; i < c_->geo.shard_count; i++) {
            Shard* s = shard_at(*c_, i);
            ShardLock lock(c_, s, ShardLock::Patience::kUpkeep);
            if (!lock) {
                fail("a shard's lock is not to be had");
                continue;
            }
            audit_shard(s);
        }
        out_->clean = out_->violations == 0;
    }

private:
    struct Sum {
        uint64_t occupied = 0, live = 0, side = 0, filling = 0, entries = 0, retired = 0, retired_bytes = 0;
    };

    void fail(const char* what) noexcept {
        if (out_->violations++ == 0) {
            size_t n = std::strlen(what);
            n = n < sizeof(out_->first) ? n : sizeof(out_->first) - 1;
            std::memcpy(out_->first, what, n);
        }
    }
    void check(bool holds, const char* what) noexcept {
        if (!holds) {
            fail(what);
        }
    }

    void audit_purges() noexcept {
        const uint64_t seq = purge_counter(*c_);
        bool ahead = c_->zone->all_hard.load_relaxed() > seq || c_->zone->all_soft.load_relaxed() > seq ||
                     c_->zone->all_doubt.load_relaxed() > seq;
        for_each_purge_set(*c_, [&](const PurgeSet& set) {
            for (const PurgeRecord& r : set.record) {
                ahead = ahead || r.seq.load_relaxed() > seq;
            }
            ahead = ahead || set.hard_floor.load_relaxed() > seq || set.soft_floor.load_relaxed() > seq;
        });
        check(!ahead || c_->zone->purge_lock.dirty.load_relaxed() != 0, "P1: a purge record is ahead of the counter");
    }

    void audit_shard(Shard* s) noexcept {
        Sum sum;
        uint32_t highest = 0;
        uint32_t linked = 0;
        for (uint32_t i = 0; i < c_->geo.bucket_count; i++) {
            uint32_t last = 0;
            for (Bucket* b = bucket_at(*c_, *s, i); b != nullptr; b = next_bucket(*c_, *s, b, &last)) {
                linked += last != 0 ? 1 : 0;
                for (const Atom<uint64_t>& slot : b->slot) {
                    if (const uint64_t w = slot.load_relaxed(); w != 0) {
                        audit_live(*s, i, w, &sum);
                    }
                }
            }
            highest = last > highest ? last : highest;
        }
        check(highest <= s->overflow_used, "I3: an overflow bucket in use is counted as free");
        audit_overflow(*s, linked);
        audit_retired(*s, &sum);
        audit_fills(*s, &sum);
        audit_figures(*s, sum);
        out_->entries += sum.entries;
    }

    // Each overflow bucket that was ever in use is in a chain or free, and what is free is empty.
    void audit_overflow(const Shard& s, uint32_t linked) noexcept {
        uint32_t free = 0;
        uint32_t link = s.overflow_free;
        while (link != 0 && link <= s.overflow_used && free <= s.overflow_used) {
            const Bucket* b = overflow_at(*c_, s, link - 1);
            for (const Atom<uint64_t>& slot : b->slot) {
                check(slot.load_relaxed() == 0, "I4: an overflow bucket out of use is not empty");
            }
            free++;
            link = b->gen;
        }
        check(link == 0 && linked + free == s.overflow_used, "I4: an overflow bucket is lost, or in use twice");
    }

    // What holds for any entry whose chain is its own.
    bool audit_chain(const Shard& s, uint32_t ref, EntryState state, Sum* sum) noexcept {
        ChainSize size;
        if (!is_entry(*c_, s, ref) || !measure_chain(*c_, s, ref, &size)) {
            fail("L1: a reachable run is broken");
            return false;
        }
        const Entry* e = region(*c_).entry(ref);
        check(state_of(*e) == state, "an entry is not in the state its place implies");
        check(size.occupied == e->occupied.load_relaxed(), "an entry's occupied bytes differ from its runs");
        check(size.payload >= front_bytes(e->fixed) + uint64_t{e->body_available.load_relaxed()},
              "L3: a chain is shorter than its body");
        sum->occupied += size.occupied;
        return true;
    }

    void audit_live(const Shard& s, uint32_t bucket, uint64_t word, Sum* sum) noexcept {
        const uint32_t ref = word_ref(word);
        if (!audit_chain(s, ref, EntryState::kLive, sum)) {
            return;
        }
        const Entry* e = region(*c_).entry(ref);
        const Digest d = digest_of(*e);
        check(bucket_of(*c_, d) == bucket && tag_of(d) == word_tag(word) && shard_of(*c_, d) == &s,
              "I1: an entry is in the wrong bucket");
        const Atom<uint64_t>* first = find_locked(*c_, s, d, key_of(*e));
        check(first != nullptr && first->load_relaxed() == word, "I2: two entries of one key");
        check(e->queue != 0, "a live entry is in no eviction queue");
        check(e->body_total.load_relaxed() == e->body_available.load_relaxed(), "a live entry is not complete");
        sum->entries++;
        sum->live += front_bytes(e->fixed) + uint64_t{e->body_total.load_relaxed()};
        sum->side += side_bytes_of(*e);
    }

    void audit_retired(const Shard& s, Sum* sum) noexcept {
        for (uint32_t ref = s.retired_head; ref != 0 && sum->retired <= s.retired_count;
             ref = region(*c_).entry(ref)->next) {
            if (!audit_chain(s, ref, EntryState::kRetired, sum)) {
                return;
            }
            const Entry* e = region(*c_).entry(ref);
            check(slot_of_locked(*c_, s, digest_of(*e), ref) == nullptr && e->queue == 0,
                  "R2: a retired entry is still in the index or in a queue");
            sum->retired++;
            sum->retired_bytes += e->occupied.load_relaxed();
        }
    }

    void audit_fills(const Shard& s, Sum* sum) noexcept {
        for (uint32_t i = 0; i < c_->geo.worker_count; i++) {
            const Atom<uint32_t>* unfinished = unfinished_cells(*c_, worker_record(*c_, i));
            for (uint32_t f = 0; f < c_->geo.unfinished_per_worker; f++) {
                const uint32_t ref = unfinished[f].load_acquire();  // [unfinished]
                if (ref != 0 && owns(*c_, s, ref) && audit_chain(s, ref, EntryState::kFilling, sum)) {
                    sum->filling += region(*c_).entry(ref)->occupied.load_relaxed();
                }
            }
        }
    }

    void audit_figures(const Shard& s, const Sum& sum) noexcept {
        const Space space = space_of(*c_, s);
        const EvictQueues queues = queues_of(*c_, s);
        if (const char* what = space.audit_locked(); what != nullptr) {
            fail(what);
        }
        if (const char* what = queues.audit_locked(); what != nullptr) {
            fail(what);
        }
        check(space.used_bytes() == sum.occupied, "bytes in use are not the bytes of reachable runs");
        check(queues.count() == sum.entries && s.entries == sum.entries,
              "queues, index and figures count different entries");
        check(s.live_bytes == sum.live, "live bytes are miscounted");
        check(s.side_bytes == sum.side && sum.side <= most_side_bytes(*c_), "side bytes are miscounted, or too many");
        check(s.filling_bytes == sum.filling, "filling bytes are miscounted");
        check(s.retired_count == sum.retired && s.retired_bytes == sum.retired_bytes, "retired entries are miscounted");
    }

    Context* c_;
    Audit* out_;
};

}  // namespace

Stats Store::stats() const noexcept {
    Context c = process();
    Stats out = {};
    out.zone_bytes = c.bytes;
    out.overhead_bytes = c.geo.overhead_bytes;
    out.shards = c.geo.shard_count;
    out.purge_seq = purge_counter(c);
    for_each_purge_set(c, [&](const PurgeSet& set) {
        for (const PurgeRecord& r : set.record) {
            out.purge_records += r.fingerprint.load_relaxed() != 0 ? 1 : 0;
        }
    });
    for (uint32_t i = 0; i < c.geo.shard_count; i++) {
        add_shard(&c, i, &out);
    }
    add_workers(c, &out);
    return out;
}

Audit Store::audit() noexcept {
    Audit out;
    Auditor(&process(), &out).run();
    return out;
}

}  // namespace slab_cache::shm
