// Objects on their way in: begin, append, commit, abort; and changes to published ones.
#include "shm/entry_runs.h"
#include "shm/counters.h"
#include "shm/unfinished.h"
#include "shm/index.h"
#include "shm/lease.h"
#include "shm/lock.h"
#include "shm/marks.h"
#include "shm/purge.h"
#include "shm/reclaim.h"
#include "shm/store_context.h"

namespace slab_cache::shm {
namespace {

constexpr uint32_t kLeastHeadInFirstRun = 4096;  // what tells facts from it needs no more

// SLAB_BROKEN_TWIN is set only in modules that tests/history must find broken (make history-twins).
#if defined(SLAB_BROKEN_TWIN) && SLAB_BROKEN_TWIN == 4
constexpr bool kForgetsSoft = true;  // a soft purge that came while it was filled
#else
constexpr bool kForgetsSoft = false;
#endif

bool is_sound(const NewEntry& what) noexcept {
    return what.key.size() <= 0xffff && what.head.size() <= kMaxHeadBytes && what.selector_count <= kMaxSelectors;
}

// Selectors and key share one block, and with them the head's beginning: whoever looks at these gets them in one piece each.
bool fits(const Context& c, const NewEntry& what) noexcept {
    const uint64_t names = sizeof(Entry) + what.selector_count * 8ULL + what.key.size();
    const uint64_t begins = what.head.size() < kLeastHeadInFirstRun ? what.head.size() : kLeastHeadInFirstRun;
    const uint64_t body = what.body_bytes > 0 ? static_cast<uint64_t>(what.body_bytes) : 0;
    return is_sound(what) && names + begins <= kMostInFirstRun &&
           what.key.size() + what.head.size() + body <= c.geo.max_object;
}

// Replaces the entry of this key, whose slot is given, or takes an empty slot; in a full chain the entry used least
// gives way.
void place_locked(const Context& c, Shard* s, uint32_t ref, Atom<uint64_t>* slot) noexcept {
    const Digest d = digest_of(*region(c).entry(ref));
    uint32_t old = slot != nullptr ? word_ref(slot->load_relaxed()) : 0;
    count(c, Counter::kReplaced, old != 0 ? 1 : 0);
    if (slot == nullptr && (slot = empty_slot_locked(c, s, d)) == nullptr) {
        slot = cheapest_slot_locked(c, *s, d);
        old = word_ref(slot->load_relaxed());
        count(c, Counter::kEvicted);
    }
    publish_locked(c, *s, slot, d, ref);  // the commit point
    if (old != 0 && owns(c, *s, old)) {
        queues_of(c, *s).remove_locked(old);
        retire_live_locked(c, s, old);
    }
}

// A slow owner was overtaken: what is in place was asked for later and is still of use.
bool is_outrun_locked(const Context& c, const Atom<uint64_t>* slot, const Entry& e, int64_t now_sec) noexcept {
    const Entry* old = slot == nullptr ? nullptr : region(c).entry(word_ref(slot->load_relaxed()));
    return old != nullptr && asked_at(*old) > asked_at(e) && old->stale_until.load_relaxed() >= saturate_sec(now_sec) &&
           judge(c, selectors_of(*old), old->fixed.selector_count, old->birth.load_relaxed()) != Validity::kPurged;
}

bool has_rival_locked(const Context& c, const Atom<uint64_t>* slot, const Writer& w) noexcept {
    const Entry* old = slot == nullptr ? nullptr : region(c).entry(word_ref(slot->load_relaxed()));
    return old != nullptr && (old->fixed.flags & w.rival_flags) != 0 && asked_at(*old) > w.rival_since;
}

// begin() has judged already: again only when a purge came since.
Validity judge_unfinished(const Context& c, const Entry& e, uint64_t seq) noexcept {
    return e.checked.load_relaxed() == seq ? Validity::kValid
                                           : judge(c, selectors_of(e), e.fixed.selector_count, e.birth.load_relaxed());
}

constexpr uint32_t kTrustMost = 7;
constexpr uint32_t kTrusted = 4;
constexpr uint32_t kAheadMost = 8 * 1024;

// Where the row of free space goes on, the next fill of this shard will lie; unless another worker takes it.
void look_ahead_locked(LocalPins* l, const Shard& s, const Run& run) noexcept {
    LocalPins::Ahead* a = &l->ahead[s.index % kMaxShards];
    if (a->ref != 0) {
        l->trust = a->ref != run.ref ? l->trust / 2 : l->trust < kTrustMost ? l->trust + 1 : kTrustMost;
    }
    *a = run.behind >= run.bytes ? LocalPins::Ahead{run.ref + run.bytes / kRefBytes, run.bytes} : LocalPins::Ahead{};
}

// Out of the writer's hands without being published.
void drop_locked(const Context& c, Shard* s, Writer* w, Counter why) noexcept {
    drop_unfinished_locked(c, s, w->ref);
    c.local->unfinished[w->place].store_release(0);  // [unfinished]
    *w = {};
    count(c, why);
}

// What of the head the first run could not take.
Status put_rest_of_head(Context* c, Writer* w, Bytes head, int64_t now_sec) noexcept {
    const EntryFixed& f = region(*c).entry(w->ref)->fixed;
    Bytes rest = base::slice(head, first_bytes(f) - names_bytes(f));
    while (!rest.empty()) {
        uint32_t put = 0;
        w->head_left = static_cast<uint32_t>(rest.size());
        if (const Status s = put_piece(c, w, rest, now_sec, &put); s != Status::kOk) {
            return s;
        }
        rest.remove_prefix(put);
    }
    w->head_left = 0;
    return Status::kOk;
}

bool is_chain_whole(const Context& c, const Shard& s, const Writer& w) noexcept {
    ChainSize size;
    return c.local->unfinished[w.place].load_relaxed() == w.ref &&  // a repair takes it from nonsense
           is_entry(c, s, w.ref) && measure_chain(c, s, w.ref, &size) &&
           size.payload >= front_bytes(region(c).entry(w.ref)->fixed) + w.written;
}

// From filling to live: figures and queue first, the index last.
void make_live_locked(const Context& c, Shard* s, uint32_t ref, Atom<uint64_t>* slot) noexcept {
    Entry* e = region(c).entry(ref);
    s->filling_bytes -= e->occupied.load_relaxed();
    e->state.store_release(static_cast<uint8_t>(EntryState::kLive));  // [entry-state] after all of the body
    e->queue = 0;
    queues_of(c, *s).push_locked(ref);
    s->entries++;
    s->live_bytes += front_bytes(e->fixed) + uint64_t{e->body_total.load_relaxed()};
    s->side_bytes += side_bytes_of(*e);
    place_locked(c, s, ref, slot);
}

}  // namespace

uint64_t Store::birth_stamp() const noexcept { return purge_counter(process()); }

void Store::prefetch_fill(const Digest& digest) const noexcept {
    const LocalPins* l = process().local;
    if (l == nullptr) {
        return;
    }
    const Shard& s = *shard_of(process(), digest);
    __builtin_prefetch(bucket_at(process(), s, bucket_of(process(), digest)), 1);
    queues_of(process(), s).prefetch(digest.hi, digest.lo);
    const LocalPins::Ahead& a = l->ahead[s.index % kMaxShards];
    if (a.ref == 0 || l->trust < kTrusted || !owns(process(), s, a.ref)) {
        return;
    }
    const char* at = reinterpret_cast<const char*>(region(process()).run(a.ref));
    const uint32_t bytes = a.bytes < kAheadMost ? a.bytes : kAheadMost;
    for (uint32_t i = 0; i < bytes; i += kLineBytes) {
        __builtin_prefetch(at + i, 1);
    }
}

Status Store::begin(const NewEntry& what, int64_t now_sec, Writer* writer) noexcept {
    *writer = {};
    if (process().local == nullptr) {
        return Status::kBusy;
    }
    if (!fits(process(), what)) {
        shm::count(process(), Counter::kTooLargeSeen);
        return Status::kTooLarge;
    }
    const uint64_t seq = purge_counter(process());
    // No purge since the birth: no record can be younger.
    const Validity v =
        what.birth == seq ? Validity::kValid : judge(process(), what.selectors, what.selector_count, what.birth);
    if (v == Validity::kPurged) {
        shm::count(process(), Counter::kPurgedInflight);
        return Status::kPurged;
    }
    if (const Status s = begin_first_run(what, now_sec, v == Validity::kValid ? seq : 0, writer); s != Status::kOk) {
        return s;
    }
    const Status s = put_rest_of_head(&process(), writer, what.head, now_sec);
    if (s != Status::kOk) {
        abort(writer);
    }
    return s;
}

Status Store::begin_first_run(const NewEntry& what, int64_t now_sec, uint64_t checked, Writer* writer) noexcept {
    Shard* s = shard_of(process(), what.digest);
    const uint32_t place = free_place(process(), place_hint_);
    if (place == kNoPlace) {
        return Status::kBusy;
    }
    ShardLock lock(&process(), s, ShardLock::Patience::kStore);
    if (!lock) {
        return Status::kBusy;
    }
    const Run run = first_run_locked(process(), s, what, now_sec);
    if (!run) {
        return Status::kNoSpace;
    }
    look_ahead_locked(process().local, *s, run);
    write_front(process(), run, what, now_sec, checked);
    s->filling_bytes += run.bytes;
    process().local->unfinished[place].store_release(run.ref);  // [unfinished] what lies in the first run is whole
    place_hint_ = place + 1;
    writer->ref = run.ref;
    writer->place = place;
    writer->rival_flags = what.rival_flags;
    writer->rival_since = what.rival_since;
    writer->tail_run = run.ref;
    writer->tail_used = first_bytes(region(process()).entry(run.ref)->fixed);
    return Status::kOk;
}

Status Store::append(Writer* w, Bytes body, int64_t now_sec) noexcept {
    Entry* e = region(process()).entry(w->ref);
    const uint32_t total = e->body_total.load_relaxed();  // relaxed: ours
    const uint64_t object = uint64_t{e->fixed.key_bytes} + head_bytes(e->fixed) + w->written;
    if (body.size() > process().geo.max_object || object + body.size() > process().geo.max_object ||
        (total != kUnknownLength && w->written + body.size() > total)) {
        shm::count(process(), Counter::kTooLargeSeen);
        return Status::kTooLarge;
    }
    while (!body.empty()) {
        uint32_t n = 0;
        if (const Status s = put_piece(&process(), w, body, now_sec, &n); s != Status::kOk) {
            return s;
        }
        w->written += n;
        body.remove_prefix(n);
        // [body] seq_cst: see body_available()
        e->body_available.store_seq_cst(static_cast<uint32_t>(w->written));
    }
    return Status::kOk;
}

Status Store::commit(Writer* w, int64_t now_sec, bool is_outdated) noexcept {
    Entry* e = region(process()).entry(w->ref);
    const uint32_t total = e->body_total.load_relaxed();
    if (total != kUnknownLength && total != w->written) {
        abort(w);
        return Status::kCorrupt;  // truncated: never to be served
    }
    e->body_total.store_release(static_cast<uint32_t>(w->written));  // [body]
    Shard* s = shard_of_ref(process(), w->ref);
    ShardLock lock(&process(), s, ShardLock::Patience::kStore);
    if (!lock) {
        return Status::kBusy;
    }
    if (!is_chain_whole(process(), *s, *w)) {
        report_nonsense_locked(process(), s);
        return Status::kCorrupt;
    }
    const uint64_t seq = purge_counter(process());
    const Validity v = judge_unfinished(process(), *e, seq);
    if (v == Validity::kPurged || is_outdated) {
        drop_locked(process(), s, w, Counter::kPurgedInflight);
        return Status::kPurged;
    }
    Atom<uint64_t>* slot = find_locked(process(), *s, digest_of(*e), key_of(*e));
    if (has_rival_locked(process(), slot, *w)) {
        drop_locked(process(), s, w, Counter::kOutrun);
        return Status::kOutrun;
    }
    if (is_outrun_locked(process(), slot, *e, now_sec)) {
        drop_locked(process(), s, w, Counter::kOutrun);
        return Status::kOk;
    }
    trim_locked(process(), s, w);
    e = region(process()).entry(w->ref);
    if (side_bytes_of(*e) != 0 && s->side_bytes + side_bytes_of(*e) > most_side_bytes(process())) {
        drop_locked(process(), s, w, Counter::kNoSpaceSeen);
        return Status::kNoSpace;
    }
    e->checked.store_relaxed(v == Validity::kValid || kForgetsSoft ? seq : 0);
    make_live_locked(process(), s, w->ref, slot);
    process().local->unfinished[w->place].store_release(0);  // [unfinished]
    shm::count(process(), Counter::kStores);
    shm::count(process(), Counter::kStoredBytes, e->occupied.load_relaxed());
    *w = {};
    return Status::kOk;
}

void Store::abort(Writer* w) noexcept {
    if (!*w || process().local == nullptr) {
        *w = {};
        return;
    }
    shm::count(process(), Counter::kAborted);
    give_up_unfinished(&process(), w->place);
    *w = {};
}

Pin Store::pin_writer(const Writer& w) noexcept {
    if (!w || pin_held(process(), w.ref) != PinAnswer::kPinned) {
        return {};
    }
    region(process()).entry(w.ref)->marks.or_seq_cst(kShared);
    return {region(process()).entry(w.ref), w.ref};
}

Status Store::refresh(const Pin& pin, int64_t fresh_until_sec, int64_t stale_until_sec, uint64_t birth) noexcept {
    Entry* e = region(process()).entry(pin.ref);
    uint64_t old = e->birth.load_acquire();  // [entry-birth]
    const uint64_t since = known_valid_at(*e, purge_counter(process()));
    if (judge(process(), selectors_of(*e), e->fixed.selector_count, since) == Validity::kPurged) {
        return Status::kPurged;
    }
    e->fresh_until.store_relaxed(saturate_sec(fresh_until_sec));
    e->stale_until.store_relaxed(saturate_sec(stale_until_sec));
    // A hard purge that comes after the look above has a counter above `birth`: it still wins.
    while (old < birth && !e->birth.cas_acq_rel(old, birth)) {  // [entry-birth]
    }
    return Status::kOk;
}

namespace {

Status unlink_found_locked(Context* c, Shard* s, Atom<uint64_t>* slot) noexcept {
    if (slot == nullptr) {
        return Status::kMiss;
    }
    unlink_locked(*c, s, slot, word_ref(slot->load_relaxed()));
    count(*c, Counter::kRemoved);
    if (wants_reclaim_locked(*c, *s)) {
        reclaim_locked(*c, s);
    }
    return Status::kOk;
}

}  // namespace

Status Store::remove(const Digest& digest, Bytes key) noexcept {
    if (process().local == nullptr) {
        return Status::kBusy;
    }
    Shard* s = shard_of(process(), digest);
    ShardLock lock(&process(), s, ShardLock::Patience::kUpkeep);
    return lock ? unlink_found_locked(&process(), s, find_locked(process(), *s, digest, key)) : Status::kBusy;
}

Status Store::remove(const Digest& digest) noexcept {
    if (process().local == nullptr) {
        return Status::kBusy;
    }
    Shard* s = shard_of(process(), digest);
    ShardLock lock(&process(), s, ShardLock::Patience::kUpkeep);
    return lock ? unlink_found_locked(&process(), s, find_digest_locked(process(), *s, digest)) : Status::kBusy;
}

}  // namespace slab_cache::shm
