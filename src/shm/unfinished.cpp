#include "shm/unfinished.h"

#include "shm/lease.h"
#include "shm/lock.h"
#include "shm/marks.h"
#include "shm/reclaim.h"

namespace slab_cache::shm {
namespace {

constexpr uint32_t round_up(uint64_t x, uint32_t to) noexcept { return static_cast<uint32_t>((x + to - 1) / to * to); }

char* copy_part(char* to, Bytes part) noexcept {
    base::copy_in(to, part.data(), part.size());
    return to + part.size();
}

// Fills may take a quarter of a shard: stalled origins must not starve the cache.
bool may_grow_locked(const Context& c, const Shard& s, uint32_t bytes) noexcept {
    return s.filling_bytes + bytes <= capacity(c) / 4;
}

// `now`: bytes that are there and have no place yet. While the length is unknown: as much again as there is, between a page and
// a block.
Ask ask_for_more(const Entry& e, const Writer& w, uint64_t now) noexcept {
    const uint32_t total = e.body_total.load_relaxed();
    if (total != kUnknownLength) {
        const uint64_t body = total - w.written;
        return plan_next_run(w.head_left + body);
    }
    const uint64_t so_far = w.written > now ? w.written : now;
    const uint64_t want = so_far < kPageBytes ? kPageBytes : so_far > kBlockBytes ? kBlockBytes : so_far;
    return {round_up(want, kPageBytes), kTailLimitBytes, Kind::kAny};
}

// Copies the last `bytes` payload bytes of a run into a tail run of their own; empty when there is no room.
Run split_off_locked(const Context& c, Shard* s, uint32_t owner, uint32_t from, uint32_t at, uint32_t bytes) noexcept {
    const uint32_t need = bytes + kRunHeaderBytes;
    const Run run = space_of(c, *s).alloc_run_locked(need, need, Kind::kTail);
    if (run) {
        write_run_header(c, run, owner);
        base::copy_in(region(c).run(run.ref) + 1, reinterpret_cast<const char*>(region(c).run(from) + 1) + at, bytes);
    }
    return run;
}

void account_locked(const Context& c, Shard* s, uint32_t ref, int64_t delta) noexcept {
    Entry* e = region(c).entry(ref);
    e->occupied.store_relaxed(static_cast<uint32_t>(static_cast<int64_t>(e->occupied.load_relaxed()) + delta));
    s->filling_bytes = static_cast<uint64_t>(static_cast<int64_t>(s->filling_bytes) + delta);
}

void shrink_locked(const Context& c, Shard* s, const Writer& w, uint32_t to) noexcept {
    RunHeader* run = region(c).run(w.tail_run);
    const uint32_t old = run->len.load_relaxed();
    const uint32_t now = space_of(c, *s).shrink_run_locked(w.tail_run, old, to);
    run->len.store_relaxed(now);  // relaxed: readers go by body_available, which this does not touch
    account_locked(c, s, w.ref, int64_t{now} - int64_t{old});
}

// The whole object sits in one page: it moves into a tail run. The new entry is whole before unfinished[] names it.
bool move_entry_locked(const Context& c, Shard* s, Writer* w) noexcept {
    const uint32_t bytes = w->tail_used;
    const Run run = split_off_locked(c, s, 0, w->tail_run, 0, bytes);
    if (!run) {
        return false;
    }
    write_run_header(c, run, run.ref);
    Entry* e = region(c).entry(run.ref);
    e->fixed.checksum = checksum_of(e->fixed, run.ref);
    const uint32_t old = region(c).run(w->ref)->len.load_relaxed();
    e->occupied.store_relaxed(run.bytes);
    c.local->unfinished[w->place].store_release(run.ref);  // [unfinished]
    free_chain_locked(c, s, w->ref);
    s->filling_bytes = s->filling_bytes - old + run.bytes;
    w->ref = w->tail_run = run.ref;
    return true;
}

uint32_t run_before(const Context& c, uint32_t ref, uint32_t last) noexcept {
    // The chain was measured by commit(): it ends.
    while (ref != 0 && region(c).run(ref)->next.load_relaxed() != last) {
        ref = region(c).run(ref)->next.load_relaxed();
    }
    return ref;
}

// The last page holds little: its bytes move into a tail run behind `prev` (the pages before, or the run itself).
bool move_tail_locked(const Context& c, Shard* s, Writer* w, uint32_t pages) noexcept {
    const uint32_t keep = pages == 0 ? 0 : pages * kPageBytes - kRunHeaderBytes;
    const uint32_t prev = pages == 0 ? run_before(c, w->ref, w->tail_run) : w->tail_run;
    const uint32_t bytes = w->tail_used - keep;
    const Run run = prev == 0 ? Run{} : split_off_locked(c, s, w->ref, w->tail_run, keep, bytes);
    if (!run) {
        return false;
    }
    const uint32_t old = region(c).run(w->tail_run)->len.load_relaxed();
    region(c).run(prev)->next.store_release(run.ref);
    if (pages == 0) {
        region(c).run(w->tail_run)->magic.store_relaxed(0);
        static_cast<void>(space_of(c, *s).free_run_locked(w->tail_run, old));
        account_locked(c, s, w->ref, int64_t{run.bytes} - int64_t{old});
    } else {
        shrink_locked(c, s, *w, pages * kPageBytes);
        account_locked(c, s, w->ref, run.bytes);
    }
    w->tail_run = run.ref;
    w->tail_used = bytes;
    return true;
}

bool is_read_by_others(const Context& c, const Entry& e, uint32_t ref) noexcept {
    return (e.marks.load_relaxed() & kShared) != 0 && scan_slots(c).may_hold(ref);
}

}  // namespace

uint32_t free_place(const Context& c, uint32_t hint) noexcept {
    const uint32_t n = c.geo.unfinished_per_worker;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t place = (hint + i) % n;
        if (c.local->unfinished[place].load_relaxed() == 0) {  // relaxed: ours
            return place;
        }
    }
    return kNoPlace;
}

Run first_run_locked(const Context& c, Shard* s, const NewEntry& what, int64_t now_sec) noexcept {
    const auto front =
        static_cast<uint32_t>(sizeof(Entry) + what.selector_count * 8U + what.key.size() + what.head.size());
    const uint32_t least = front <= kMostInFirstRun ? front + kRunHeaderBytes : kBlockBytes;
    Ask ask = {round_up(least > kPageBytes ? least : kPageBytes, kPageBytes), least, Kind::kAny};
    if (what.body_bytes >= 0) {
        ask = plan_next_run(front + static_cast<uint64_t>(what.body_bytes));
        if (ask.min_bytes < least) {
            ask.min_bytes = least;
        }
        if (ask.want_bytes < least) {
            ask = {round_up(least, kPageBytes), least, Kind::kPage};
        }
    }
    const bool may_be = (what.flags & kSideFlag) == 0 || s->side_bytes + ask.min_bytes <= most_side_bytes(c);
    return may_be && may_grow_locked(c, *s, ask.want_bytes) ? make_room_locked(c, s, ask, now_sec) : Run{};
}

void write_front(const Context& c, Run run, const NewEntry& what, int64_t now_sec, uint64_t checked) noexcept {
    write_run_header(c, run, run.ref);
    EntryFixed f = {};
    f.digest_hi = what.digest.hi;
    f.digest_lo = what.digest.lo;
    f.fill_cost_us = what.fill_cost_us;
    f.stored_sec = saturate_sec(what.stored_sec != 0 ? what.stored_sec : now_sec);
    f.flags = what.flags;
    f.selector_count = static_cast<uint16_t>(what.selector_count);
    f.key_bytes = static_cast<uint16_t>(what.key.size());
    f.head_low = static_cast<uint16_t>(what.head.size() & 0xffff);
    f.head_high = static_cast<uint8_t>(what.head.size() >> 16);
    const uint64_t asked = what.asked != 0 ? what.asked : what.birth;
    std::memcpy(f.asked, &asked, sizeof(f.asked));
    f.checksum = checksum_of(f, run.ref);
    Entry* e = region(c).entry(run.ref);
    base::copy_in(&e->fixed, &f, sizeof(f));
    e->birth.store_relaxed(what.birth);  // relaxed, all of these: published by unfinished[], lease or index
    e->checked.store_relaxed(checked);
    e->fresh_until.store_relaxed(saturate_sec(what.fresh_until_sec));
    e->stale_until.store_relaxed(saturate_sec(what.stale_until_sec));
    e->body_available.store_relaxed(0);
    e->body_total.store_relaxed(what.body_bytes < 0 ? kUnknownLength : static_cast<uint32_t>(what.body_bytes));
    e->state.store_relaxed(static_cast<uint8_t>(EntryState::kFilling));
    e->freq.store_relaxed(0);
    e->queue = 0;
    e->marks.store_relaxed(0);
    e->occupied.store_relaxed(run.bytes);
    e->value = 0;
    e->prev = e->next = 0;
    char* at = reinterpret_cast<char*>(e + 1);
    at = copy_part(at, {reinterpret_cast<const char*>(what.selectors), what.selector_count * 8U});
    at = copy_part(at, what.key);
    copy_part(at, base::slice(what.head, 0, first_bytes(f) - names_bytes(f)));
}

namespace {

Status grow(Context* c, Writer* w, uint64_t more, int64_t now_sec) noexcept {
    Shard* s = shard_of_ref(*c, w->ref);
    ShardLock lock(c, s, ShardLock::Patience::kStore);
    if (!lock) {
        return Status::kBusy;
    }
    if (c->local->unfinished[w->place].load_relaxed() != w->ref) {
        return Status::kCorrupt;  // a repair took it from nonsense
    }
    const Ask ask = ask_for_more(*region(*c).entry(w->ref), *w, more);
    const Run run = may_grow_locked(*c, *s, ask.want_bytes) ? make_room_locked(*c, s, ask, now_sec) : Run{};
    if (!run) {
        return Status::kNoSpace;
    }
    write_run_header(*c, run, w->ref);
    region(*c).run(w->tail_run)->next.store_release(run.ref);
    account_locked(*c, s, w->ref, run.bytes);
    w->tail_run = run.ref;
    w->tail_used = 0;
    return Status::kOk;
}

}  // namespace

Status put_piece(Context* c, Writer* w, Bytes bytes, int64_t now_sec, uint32_t* put) noexcept {
    *put = 0;
    RunHeader* run = region(*c).run(w->tail_run);
    if (!is_run(*c, *shard_of_ref(*c, w->ref), w->tail_run, w->ref) ||
        run->len.load_relaxed() < kRunHeaderBytes + w->tail_used) {
        return Status::kCorrupt;
    }
    const uint32_t room = run->len.load_relaxed() - kRunHeaderBytes - w->tail_used;
    if (room == 0) {
        const Status s = grow(c, w, bytes.size(), now_sec);
        hold_what_grew(*c, w->ref);
        return s;
    }
    *put = static_cast<uint32_t>(bytes.size() < room ? bytes.size() : room);
    base::copy_in(reinterpret_cast<char*>(run + 1) + w->tail_used, bytes.data(), *put);
    w->tail_used += *put;
    return Status::kOk;
}

void trim_locked(const Context& c, Shard* s, Writer* w) noexcept {
    Entry* e = region(c).entry(w->ref);
    if ((e->marks.load_relaxed() & kShared) != 0) {  // relaxed: only its writer sets it
        hide_growing(c, digest_of(*e), w->ref);      // before the look for readers
    }
    const uint32_t used = w->tail_used + kRunHeaderBytes;
    const uint32_t len = region(c).run(w->tail_run)->len.load_relaxed();
    if (w->tail_used == 0 && w->tail_run != w->ref) {
        return;  // grown for a byte that did not come: cannot happen, harmless
    }
    if (len % kPageBytes != 0) {
        if (round_up(used, kUnitBytes) < len) {
            shrink_locked(c, s, *w, used);
        }
        return;
    }
    uint32_t pages = used / kPageBytes;
    // What stays in front of the cut fills its pages to the last byte.
    const uint32_t rest = pages == 0 ? w->tail_used : used - pages * kPageBytes;
    const bool front_is_cut =
        w->tail_run == w->ref && pages > 0 && pages * kPageBytes < kRunHeaderBytes + front_bytes(e->fixed);
    if (rest > 0 && rest + kRunHeaderBytes < kTailLimitBytes && !front_is_cut && !is_read_by_others(c, *e, w->ref)) {
        const bool whole = pages == 0 && w->tail_run == w->ref;
        if (whole ? move_entry_locked(c, s, w) : move_tail_locked(c, s, w, pages)) {
            return;
        }
    }
    if (round_up(used, kPageBytes) < len) {
        shrink_locked(c, s, *w, used);
    }
}

void give_up_unfinished(Context* c, uint32_t place) noexcept {
    const uint32_t ref = c->local->unfinished[place].load_relaxed();
    Shard* s = ref == 0 ? nullptr : shard_of_ref(*c, ref);
    if (s != nullptr) {
        ShardLock lock(c, s, ShardLock::Patience::kStore);
        if (!lock) {
            c->local->orphans[place / 64] |= uint64_t{1} << (place % 64);
            return;
        }
        if (c->local->unfinished[place].load_relaxed() == ref) {  // a repair takes it from nonsense
            drop_unfinished_locked(*c, s, ref);
            c->local->unfinished[place].store_release(0);  // [unfinished]
        }
    }
}

void retire_orphans(Context* c) noexcept {
    for (uint32_t place = 0; place < c->geo.unfinished_per_worker; place++) {
        const uint64_t bit = uint64_t{1} << (place % 64);
        if ((c->local->orphans[place / 64] & bit) != 0) {
            c->local->orphans[place / 64] &= ~bit;
            give_up_unfinished(c, place);
        }
    }
}

}  // namespace slab_cache::shm
