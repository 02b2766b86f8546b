#include "shm/prior.h"

#include "base/hash.h"
#include "shm/entry_runs.h"
#include "shm/purge.h"
#include "shm/store_context.h"
#include "shm/worker.h"
#include "shm/zone_plan.h"

namespace slab_cache::shm {

static_assert(Store::kPriors == kMaxPriors);

namespace {

uint64_t lesser(uint64_t a, uint64_t b) noexcept { return a < b ? a : b; }

constexpr RecordTable kTables[] = {RecordTable::kPurges, RecordTable::kInvalidations};

void raise(Atom<uint64_t>* to, uint64_t x) noexcept {
    if (to->load_relaxed() < x) {
        to->store_relaxed(x);  // relaxed: this zone is nobody else's yet
    }
}

// Floors cover what hashes into a set: here those hashes may lie in several sets, or in a part of one.
void copy_floors(const Context& from, const Context& to, RecordTable table, uint32_t i, uint64_t limit) noexcept {
    const uint64_t n = to.geo.purge_sets;
    const uint64_t m = from.geo.purge_sets;
    const PurgeSet* old = purge_set(from, table, i);
    const uint64_t hard = lesser(old->hard_floor.load_acquire(), limit);  // [purge-floor]
    const uint64_t soft = lesser(old->soft_floor.load_acquire(), limit);  // [purge-floor]
    for (uint64_t at = i * n / m; at <= ((i + 1) * n + m - 1) / m - 1 && at < n; at++) {
        raise(&purge_set(to, table, static_cast<uint32_t>(at))->hard_floor, hard);
        raise(&purge_set(to, table, static_cast<uint32_t>(at))->soft_floor, soft);
    }
}

// A record that is newer than `limit` counts as of `limit`: it may have overwritten an older one of the same fingerprint,
// and whatever it says itself is imported once the old counter has reached it.
void copy_table(const Context& from, const Context& to, RecordTable table, uint64_t limit) noexcept {
    for (uint32_t i = 0; i < from.geo.purge_sets; i++) {
        for (const PurgeRecord& r : purge_set(from, table, i)->record) {
            const uint64_t key = r.fingerprint.load_acquire();  // [purge-record]
            const uint64_t seq = r.seq.load_acquire();          // [purge-record]
            if (key != 0) {
                write_record_locked(to, table, key, lesser(seq, limit));
            }
        }
        copy_floors(from, to, table, i, limit);
    }
}

void copy_purges(const Context& from, const Context& to, uint64_t limit) noexcept {
    announce_invalidation_locked(to, lesser(from.zone->invalidated.load_acquire(), limit));  // [purge-seq]
    for (const RecordTable table : kTables) {
        copy_table(from, to, table, limit);
    }
}

struct News {
    uint64_t since;
    bool all_hard, all_soft, all_doubt;
};

// What the prior zone purged after news->since, written here as of `seq`.
void import_table_locked(const Context& from, const Context& to, RecordTable table, uint64_t seq, News* news) noexcept {
    for (uint32_t i = 0; i < from.geo.purge_sets; i++) {
        const PurgeSet* set = purge_set(from, table, i);
        for (const PurgeRecord& r : set->record) {
            const uint64_t key = r.fingerprint.load_acquire();     // [purge-record]
            if (key != 0 && r.seq.load_acquire() > news->since) {  // [purge-record]
                write_record_locked(to, table, key, seq);
            }
        }
        // Records that came and went in between: what they said is unknown.
        news->all_hard = news->all_hard || set->hard_floor.load_acquire() > news->since;  // [purge-floor]
        news->all_soft = news->all_soft || set->soft_floor.load_acquire() > news->since;  // [purge-floor]
    }
}

void import_records_locked(const Context& from, const Context& to, uint64_t seq, News* news) noexcept {
    import_table_locked(from, to, RecordTable::kPurges, seq, news);
    if (from.zone->invalidated.load_acquire() > news->since) {  // [purge-seq]
        announce_invalidation_locked(to, seq);
        import_table_locked(from, to, RecordTable::kInvalidations, seq, news);
    }
}

void raise_all(Atom<uint64_t>* at, uint64_t x) noexcept {
    uint64_t seen = at->load_acquire();              // [purge-seq]
    while (seen < x && !at->cas_acq_rel(seen, x)) {  // [purge-seq]
    }
}

bool import_from(Context* c, uint32_t place) noexcept {
    Context from;
    uint64_t seq = 0;
    if (!context_of_prior(*c, place, &from) || !lock_purges(c, &seq)) {
        return false;
    }
    const uint64_t to = purge_counter(from);
    News news = {c->zone->prior_seq[place].load_relaxed(), false, false, false};  // relaxed: only lock holders write
    if (to > news.since) {
        news.all_hard = from.zone->all_hard.load_acquire() > news.since;    // [purge-seq]
        news.all_soft = from.zone->all_soft.load_acquire() > news.since;    // [purge-seq]
        news.all_doubt = from.zone->all_doubt.load_acquire() > news.since;  // [purge-seq]
        import_records_locked(from, *c, seq, &news);
        if (news.all_hard) {
            raise_all(&c->zone->all_hard, seq);
        }
        if (news.all_soft) {
            raise_all(&c->zone->all_soft, seq);
        }
        if (news.all_doubt) {
            raise_all(&c->zone->all_doubt, seq);
        }
        (void) publish_purge_locked(*c, seq);
        c->zone->prior_seq[place].store_release(to);  // [prior-seq] after the counter that stands for it
    }
    unlock_purges(c);
    return true;
}

void set_prior(Context* c, uint32_t place, void* base, const Context& old) noexcept {
    auto* at = static_cast<char*>(base);
    c->prior[place] = {at, old.bytes,
                       reinterpret_cast<ZoneHeader*>(at + (reinterpret_cast<char*>(old.zone) - old.base)), old.geo};
    c->priors = place + 1 > c->priors ? place + 1 : c->priors;
}

}  // namespace

bool context_of_prior(const Context& c, uint32_t place, Context* out) noexcept {
    if (place >= c.priors || c.prior[place].zone == nullptr) {
        return false;
    }
    *out = c;  // the same process, with the same identity and counters
    out->base = c.prior[place].base;
    out->bytes = c.prior[place].bytes;
    out->zone = c.prior[place].zone;
    out->geo = c.prior[place].geo;
    out->priors = 0;
    return true;
}

bool is_open_prior(const Context& c, uint32_t place) noexcept {
    return place < c.priors && c.prior[place].zone != nullptr &&
           c.prior[place].zone->closed.load_seq_cst() != kZoneLeft;  // [closed]
}

bool is_behind(const Context& c) noexcept {
    for (uint32_t i = 0; i < c.priors; i++) {
        const ZoneHeader* old = c.prior[i].zone;
        // Theirs first: what is read of ours afterwards is at least as new as what theirs was compared with.
        if (old != nullptr &&
            old->purge_seq.load_seq_cst() > c.zone->prior_seq[i].load_acquire()) {  // [purge-seq] [prior-seq]
            return true;
        }
    }
    return false;
}

bool import_purges(Context* c) noexcept {
    bool done = true;
    for (uint32_t i = 0; i < c->priors; i++) {
        done = (c->prior[i].zone == nullptr || import_from(c, i)) && done;
    }
    return done;
}

void note_forwarded_locked(const Context& c, uint32_t place, uint64_t seq) noexcept {
    // Only where nothing else was purged there meanwhile: else all of it is imported.
    if (c.zone->prior_seq[place].load_relaxed() + 1 == seq) {
        c.zone->prior_seq[place].store_release(seq);  // [prior-seq]
    }
}

Status Store::add_prior(const Store& old, uint32_t place, void* view) noexcept {
    if (place + 1 >= kMaxPriors || old.process().prior[place].zone == nullptr) {
        return Status::kBusy;
    }
    Context there = old.process();
    there.base = old.process().prior[place].base;
    there.bytes = old.process().prior[place].bytes;
    there.zone = old.process().prior[place].zone;
    there.geo = old.process().prior[place].geo;
    set_prior(&process(), place + 1, view, there);
    // Before succeed() looks at the old zone's counter: what this figure stands for is then among the old zone's purges.
    process().zone->prior_seq[place + 1].store_relaxed(
        old.process().zone->prior_seq[place].load_acquire());  // [prior-seq]
    return Status::kOk;
}

Status Store::keep_prior(const Store& old, uint32_t place, void* view) noexcept {
    Context there;
    if (!context_of_prior(old.process(), place, &there)) {
        return Status::kBusy;
    }
    set_prior(&process(), place, view, there);
    return Status::kOk;
}

Status Store::succeed(const Store& old, void* view) noexcept {
    ZoneHeader* z = process().zone;
    const Context& from = old.process();
    set_prior(&process(), 0, view, from);
    if (process().prior[0].zone->magic != kZoneMagic || process().prior[0].zone->zone_id != from.geo.zone_id) {
        process().prior[0] = {};
        return Status::kStaleFormat;
    }
    std::memcpy(z->secret, from.geo.secret, sizeof(z->secret));
    std::memcpy(process().geo.secret, from.geo.secret, sizeof(z->secret));
    const uint64_t seq = purge_counter(from);  // before the records: those that come later are imported
    z->all_hard.store_relaxed(lesser(from.zone->all_hard.load_acquire(), seq));    // [purge-seq]
    z->all_soft.store_relaxed(lesser(from.zone->all_soft.load_acquire(), seq));    // [purge-seq]
    z->all_doubt.store_relaxed(lesser(from.zone->all_doubt.load_acquire(), seq));  // [purge-seq]
    copy_purges(from, process(), seq);
    // What either zone gives out from now on means nothing to the other: the old one goes on counting from `seq`.
    z->carried_first = from.zone->first_seq;
    z->carried_seq = seq;
    z->first_seq = seq + kSeqStride + z->first_seq % kLeastSeq;
    z->purge_seq.store_seq_cst(z->first_seq);  // [purge-seq]
    z->prior_seq[0].store_release(seq);        // [prior-seq]
    z->follows.store_release(1);               // [follows]
    return Status::kOk;
}

bool Store::prior_at(uint32_t place, void** base, uint64_t* bytes) const noexcept {
    if (!is_open_prior(process(), place)) {
        return false;
    }
    *base = process().prior[place].base;
    *bytes = process().prior[place].bytes;
    return true;
}

bool Store::has_open_prior() const noexcept {
    for (uint32_t i = 0; i < process().priors; i++) {
        if (is_open_prior(process(), i)) {
            return true;
        }
    }
    return false;
}

void* Store::prior_user_area(uint32_t place) const noexcept {
    Context there;
    return context_of_prior(process(), place, &there) ? there.base + there.geo.user_offset : nullptr;
}

bool Store::is_prior_deserted(uint32_t place) noexcept {
    Context old;
    if (!context_of_prior(process(), place, &old)) {
        return false;
    }
    if (old.zone->closed.load_acquire() == kZoneLeft) {  // [closed]
        return true;
    }
    // [closed] seq_cst before the records are looked at: see claim_record().
    old.zone->closed.store_seq_cst(kZoneJoinsNoMore);
    for (uint32_t i = 0; i < old.geo.worker_count; i++) {
        const uint64_t owner = worker_record(old, i)->owner.load_seq_cst();  // [record]
        if (owner != 0 && is_alive(old, owner)) {
            return false;
        }
    }
    return true;
}

bool Store::close_prior(uint32_t place, uint64_t* from) noexcept {
    Context old;
    // Taken over first: the next configuration does not map what is closed.
    if (!catch_up(&process()) || !context_of_prior(process(), place, &old)) {
        return false;
    }
    *from = old.geo.shards_offset;
    old.zone->closed.store_seq_cst(kZoneLeft);  // [closed]
    if (!has_open_prior()) {
        process().zone->follows.store_release(0);  // [follows]
    }
    return true;
}

}  // namespace slab_cache::shm
