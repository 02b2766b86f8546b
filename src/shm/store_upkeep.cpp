// Leases, marks, purges, and what a timer does.
#include "shm/entry_runs.h"
#include "shm/counters.h"
#include "shm/unfinished.h"
#include "shm/index.h"
#include "shm/lease.h"
#include "shm/lock.h"
#include "shm/marks.h"
#include "shm/prior.h"
#include "shm/purge.h"
#include "shm/reclaim.h"
#include "shm/store_context.h"
#include "shm/worker.h"

namespace slab_cache::shm {
namespace {

constexpr uint64_t kSweepLeaseMs = 3000;
constexpr uint32_t kSweepSlice = 64;            // buckets per lock hold
constexpr uint32_t kSweepSelectors = 8 * 1024;  // judged per lock hold, about: no more buckets once there were so many

// One sweeper at a time; a dead one's lease runs out.
bool hold_sweep_lease(const Context& c, uint64_t now_ms) noexcept {
    uint64_t word = c.zone->sweeper.load_acquire();  // [sweeper]
    if ((word & 0xffff) != c.worker && word >> 16 > now_ms) {
        return false;
    }
    return c.zone->sweeper.cas_acq_rel(word,
                                       (now_ms + kSweepLeaseMs) << 16 | c.worker);  // [sweeper]
}

bool is_dead_entry(const Context& c, const Entry& e, uint32_t now) noexcept {
    return e.stale_until.load_relaxed() < now || is_purged_locked(c, e, purge_counter(c));
}

// The number of selectors that its entries have.
uint32_t sweep_bucket_locked(const Context& c, Shard* s, uint32_t i, uint32_t now) noexcept {
    uint32_t last = 0;
    uint32_t selectors = 0;
    for (Bucket* b = bucket_at(c, *s, i); b != nullptr; b = next_bucket(c, *s, b, &last)) {
        for (Atom<uint64_t>& slot : b->slot) {
            const uint32_t ref = word_ref(slot.load_relaxed());
            if (ref == 0) {
                continue;
            }
            if (!is_entry(c, *s, ref)) {
                slot.store_seq_cst(0);  // [index-unlink]
                report_nonsense_locked(c, s);
                continue;
            }
            selectors += region(c).entry(ref)->fixed.selector_count;
            if (is_dead_entry(c, *region(c).entry(ref), now)) {
                unlink_locked(c, s, &slot, ref);
                count(c, Counter::kSwept);
            }
        }
    }
    return selectors;
}

enum class Thorough : bool { kNo, kYes };  // looks for retired entries that can be freed, however few there are

// Up to `n` buckets of the shard at the zone's sweep cursor; the number of buckets done.
uint32_t sweep_slice(Context* c, uint32_t n, uint32_t now, Thorough thorough) noexcept {
    const uint32_t shard = c->zone->sweep_shard.load_relaxed() % c->geo.shard_count;
    Shard* s = shard_at(*c, shard);
    ShardLock lock(c, s, ShardLock::Patience::kStore);
    // Another one has come to its end meanwhile: to begin it anew would leave its first buckets out the next time.
    if (!lock || c->zone->sweep_shard.load_relaxed() % c->geo.shard_count != shard) {
        return n;
    }
    uint32_t at = s->sweep_bucket.load_relaxed();
    const uint32_t end = at + n < c->geo.bucket_count ? at + n : c->geo.bucket_count;
    const uint32_t from = at;
    for (uint32_t judged = 0; at < end && judged < kSweepSelectors; at++) {
        judged += sweep_bucket_locked(*c, s, at, now);
    }
    const uint32_t done = at - from;
    if (at >= c->geo.bucket_count) {
        at = 0;
        c->zone->sweep_shard.store_relaxed((shard + 1) % c->geo.shard_count);
        if (shard + 1 == c->geo.shard_count) {
            c->zone->unswept.store_relaxed(0);  // relaxed: when to sweep is a guess
        }
    }
    s->sweep_bucket.store_relaxed(at);
    if (thorough == Thorough::kYes || wants_reclaim_locked(*c, *s)) {
        reclaim_locked(*c, s);
    }
    return done > 0 ? done : 1;
}

// Who writes invalidation records sweeps for them: all objects have been looked at twice before a sixteenth of the table was
// written anew. Sets fill unevenly, but so much of one hardly ever comes to seven records.
void keep_pace(Context* c, uint32_t written, uint32_t now) noexcept {
    const uint64_t part = invalidation_records(*c) / 32 + 1;
    const uint32_t before = c->zone->unswept.add_relaxed(written);
    if (before + uint64_t{written} < part) {
        return;
    }
    const uint64_t buckets = uint64_t{c->geo.bucket_count} * c->geo.shard_count;
    for (uint64_t left = buckets * written / part + 1; left > 0;) {
        const uint32_t n = left < kSweepSlice ? static_cast<uint32_t>(left) : kSweepSlice;
        const uint32_t done = sweep_slice(c, n, now, Thorough::kNo);
        left -= done < left ? done : left;
    }
}

}  // namespace

void Store::lease_prefetch(const Digest& digest) const noexcept { prefetch_lease(process(), digest); }

LeaseAnswer Store::lease_acquire(const Digest& digest, uint64_t now_ms, uint32_t silence_ms, Ticket* ticket) noexcept {
    return acquire_lease(&process(), digest, now_ms, silence_ms, ticket);
}

void Store::lease_progress(const Ticket& ticket, uint64_t now_ms, WakeSet* wake) noexcept {
    progress_lease(process(), ticket, now_ms, wake);
}

void Store::lease_attach(const Ticket& ticket, const Writer& writer, WakeSet* wake) noexcept {
    if (writer) {
        region(process()).entry(writer.ref)->marks.or_seq_cst(kShared);
        attach_lease(process(), ticket, writer.ref, wake);
    }
}

void Store::lease_release(const Ticket& ticket, LeaseState outcome, uint32_t detail, WakeSet* wake) noexcept {
    release_lease(process(), ticket, outcome, detail, wake);
}

LeaseView Store::lease_watch(const Ticket& ticket, uint64_t now_ms, uint32_t silence_ms) noexcept {
    return watch_lease(process(), ticket, now_ms, silence_ms);
}

Status Store::lease_pin(const Ticket& ticket, const Digest& digest, Bytes key, Pin* pin, uint64_t now_ms) noexcept {
    *pin = {};
    if (process().local == nullptr) {
        return Status::kBusy;
    }
    if (const Status s = pin_lease(process(), ticket, now_ms, pin); s != Status::kOk) {
        return s;
    }
    // A stray ref, or another key with this tag: not ours to read.
    if (!is_readable(process(), *shard_of_ref(process(), pin->ref), pin->ref) || !has_key(*pin->entry, digest, key)) {
        unpin(pin);
        return Status::kMiss;
    }
    return Status::kOk;
}

void Store::mark_set(const Digest& digest, uint8_t value, int64_t until_sec) noexcept {
    set_mark(process(), digest, value, until_sec);
}

void Store::mark_prefetch(const Digest& digest) const noexcept { prefetch_mark(process(), digest); }

uint8_t Store::mark_get(const Digest& digest, int64_t now_sec) const noexcept {
    return get_mark(process(), digest, now_sec);
}

uint32_t Store::bump_uses(const Digest& digest) noexcept { return count_use(process(), digest); }

uint64_t Store::purge(const uint64_t* fingerprints, uint32_t n, PurgeMode mode, PurgeFn more, void* context) noexcept {
    return purge_fingerprints(&process(), fingerprints, n, mode, more, context);
}

uint64_t Store::invalidate(const uint64_t* fingerprints, uint32_t n, PurgeMode mode, int64_t now_sec) noexcept {
    const uint64_t seq = invalidate_fingerprints(&process(), fingerprints, n, mode);
    if (process().local != nullptr) {
        keep_pace(&process(), n, saturate_sec(now_sec));
    }
    return seq;
}

uint64_t Store::purge_all(PurgeMode mode, PurgeFn more, void* context) noexcept {
    return purge_everything(&process(), mode, more, context);
}

uint64_t Store::purge_all_now(PurgeMode mode) noexcept { return purge_everything_now(&process(), mode); }

uint64_t Store::advance() noexcept {
#if defined(SLAB_BROKEN_TWIN) && SLAB_BROKEN_TWIN == 5
    return purge_counter(process());  // tests/history must find that pushes get lost
#else
    return advance_purges(&process());
#endif
}

uint64_t Store::purged() const noexcept { return counter_sum(static_cast<uint32_t>(Counter::kPurges)); }

uint64_t Store::purge_seq() const noexcept { return purge_counter(process()); }

Validity Store::validity_of(const uint64_t* fingerprints, uint32_t n, uint64_t birth) const noexcept {
    Context c = process();
    return catch_up(&c) ? judge(c, fingerprints, n, birth) : Validity::kPurged;
}

void Store::reap(WakeSet* wake) noexcept {
    if (process().local != nullptr) {
        retire_orphans(&process());
        reap_dead(&process(), wake);
    }
}

uint32_t Store::sweep_quota(uint64_t purged_per_sec) const noexcept {
    const Context& c = process();
    const uint64_t buckets = uint64_t{c.geo.bucket_count} * c.geo.shard_count;
    const uint64_t eighth = uint64_t{c.geo.purge_sets} * PurgeSet::kRecords / 8;
    const uint64_t purged = purged_per_sec < 2 * eighth ? purged_per_sec : 2 * eighth;
    const uint64_t quota = buckets * purged / (eighth != 0 ? eighth : 1);
    return static_cast<uint32_t>(quota < UINT32_MAX ? quota : UINT32_MAX);
}

bool Store::sweep(int64_t now_sec, uint64_t now_ms, uint32_t buckets) noexcept {
    if (process().local == nullptr || !hold_sweep_lease(process(), now_ms)) {
        return false;
    }
    const uint32_t now = saturate_sec(now_sec);
    for (uint32_t done = 0; done < buckets;) {
        const uint32_t n = buckets - done < kSweepSlice ? buckets - done : kSweepSlice;
        done += sweep_slice(&process(), n, now, Thorough::kYes);
    }
    return true;
}

bool Store::visit(uint64_t* cursor, uint32_t max_buckets, VisitFn fn, void* context) noexcept {
    const Context& c = process();
    const uint64_t per_shard = c.geo.bucket_count;
    const uint64_t end = per_shard * c.geo.shard_count;
    bool all = c.local != nullptr;
    for (uint32_t n = 0; c.local != nullptr && n < max_buckets && *cursor < end; n++, ++*cursor) {
        const Shard& s = *shard_at(c, static_cast<uint32_t>(*cursor / per_shard));
        uint32_t last = 0;
        for (const Bucket* b = bucket_at(c, s, static_cast<uint32_t>(*cursor % per_shard)); b != nullptr;
             b = next_bucket(c, s, b, &last)) {
            for (const Atom<uint64_t>& slot : b->slot) {
                const uint64_t word = slot.load_acquire();  // [index-publish]
                const uint32_t ref = word_ref(word);
                if (word == 0 || !owns(c, s, ref)) {
                    continue;
                }
                const PinAnswer answer = pin_ref(c, slot, word);
                all = all && answer != PinAnswer::kBusy;
                if (answer != PinAnswer::kPinned) {
                    continue;
                }
                if (is_readable(c, s, ref)) {
                    fn({region(c).entry(ref), ref}, context);
                }
                unpin_ref(c, ref);
            }
        }
    }
    *cursor = *cursor >= end || c.local == nullptr ? 0 : *cursor;
    return all;
}

}  // namespace slab_cache::shm
