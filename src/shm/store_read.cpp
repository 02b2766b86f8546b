// The hot path, and what a pinned object tells of itself.
#include "shm/entry_runs.h"
#include "shm/counters.h"
#include "shm/index.h"
#include "shm/prior.h"
#include "shm/purge.h"
#include "shm/reclaim.h"
#include "shm/store_context.h"

namespace slab_cache::shm {
namespace {

constexpr uint32_t kTries = 4;  // replacements met in a row at one slot before it counts as another's

// One slot whose tag matched: pins what it holds and compares the whole key. kOk, kMiss, kBusy.
Status probe(const Context& c, const Shard& s, const Atom<uint64_t>& slot, uint64_t word, const Digest& d, Bytes key,
             Pin* pin) noexcept {
    for (uint32_t i = 0; i < kTries && word_tag(word) == tag_of(d) && word != 0; i++) {
        const uint32_t ref = word_ref(word);
        if (!is_in_blocks(c, ref)) {  // of which shard is_readable() asks
            count(c, Counter::kCorruptSeen);
            return Status::kMiss;
        }
        const PinAnswer answer = pin_ref(c, slot, word);
        if (answer == PinAnswer::kBusy) {
            return Status::kBusy;
        }
        if (answer == PinAnswer::kPinned) {
            if (!is_readable(c, s, ref)) {
                count(c, Counter::kCorruptSeen);
            } else if (has_key(*region(c).entry(ref), d, key)) {
                *pin = {region(c).entry(ref), ref};
                return Status::kOk;
            }
            unpin_ref(c, ref);
            return Status::kMiss;
        }
        word = slot.load_acquire();  // [index-publish]
    }
    return Status::kMiss;
}

}  // namespace

void Store::find_prefetch(const Digest& d) const noexcept {
    const Shard& s = *shard_of(process(), d);
    __builtin_prefetch(bucket_at(process(), s, bucket_of(process(), d)));
}

Status Store::find(const Digest& d, Bytes key, Pin* pin) noexcept {
    const Context& c = process();
    *pin = {};
    if (c.local == nullptr) {
        return Status::kBusy;
    }
    const Shard& s = *shard_of(c, d);
    uint32_t last = 0;
    for (const Bucket* b = bucket_at(c, s, bucket_of(c, d)); b != nullptr; b = next_bucket(c, s, b, &last)) {
        for (const Atom<uint64_t>& slot : b->slot) {
            const uint64_t word = slot.load_acquire();  // [index-publish]
            if (word == 0 || word_tag(word) != tag_of(d)) {
                continue;
            }
            const Status got = probe(c, s, slot, word, d, key, pin);
            if (got != Status::kMiss) {
                shm::count(c, got == Status::kOk ? Counter::kFindHits : Counter::kFindBusy);
                return got;
            }
        }
    }
    shm::count(c, Counter::kFindMisses);
    return Status::kMiss;
}

Validity Store::validity(const Pin& pin) noexcept {
    const Entry& e = *pin.entry;
    if (process().priors != 0 && !catch_up(&process())) {
        return Validity::kPurged;  // what a prior zone's worker purged is not known: a miss
    }
    const uint64_t seq = purge_counter(process());
    if (e.checked.load_relaxed() == seq) {  // relaxed: whoever stored it had judged up to it
        return Validity::kValid;
    }
    const Validity v = judge(process(), selectors_of(e), e.fixed.selector_count, known_valid_at(e, seq));
    if (v == Validity::kValid) {
        // The counter from before the look: a purge that came meanwhile makes the next look necessary.
        region(process()).entry(pin.ref)->checked.store_relaxed(seq);
    }
    return v;
}

void Store::touch(const Pin& pin) noexcept {
    Entry* e = region(process()).entry(pin.ref);
    if (const uint8_t f = e->freq.load_relaxed(); f < 3) {  // relaxed: a lost count is a lost count
        e->freq.store_relaxed(static_cast<uint8_t>(f + 1));
    }
}

void Store::unpin(Pin* pin) noexcept {
    if (*pin && process().local != nullptr) {
        unpin_ref(process(), pin->ref);
    }
    *pin = {};
}

Pin Store::repin(const Pin& pin) noexcept {
    if (!pin || pin_held(process(), pin.ref) != PinAnswer::kPinned) {
        return {};
    }
    return pin;
}

bool Store::are_pins_short() const noexcept {
    return process().local != nullptr && process().local->free_count < process().geo.slots_per_worker / 2;
}

void Store::hold(const Pin& pin) noexcept {
    if (pin && process().local != nullptr) {
        hold_ref(process(), pin.ref);
    }
}

bool Store::is_enough_held(const Pin& pin, uint32_t workers) const noexcept {
    const Context& c = process();
    if (!pin || c.local == nullptr || is_held(c, pin.ref)) {
        return false;
    }
    const uint64_t share = capacity(c) * c.geo.shard_count / (workers != 0 ? workers : 1) / kRefBytes;
    return are_pins_short() || c.local->held_long > share / 4 ||
           (c.local->held != 0 && c.local->held + weight_of(c, pin.ref) > share / 2);
}

void Store::age_holds() noexcept {
    if (process().local != nullptr) {
        shm::age_holds(process());
    }
}

Bytes Store::key(const Pin& pin) noexcept { return key_of(*pin.entry); }
Bytes Store::head(const Pin& pin) noexcept { return head_of(*pin.entry); }
uint32_t Store::head_length(const Pin& pin) noexcept { return head_bytes(pin.entry->fixed); }
bool Store::copy_head(const Pin& pin, char* out) const noexcept {
    const EntryFixed& f = pin.entry->fixed;
    const Segment first = {head_of(*pin.entry).data(), static_cast<uint32_t>(head_of(*pin.entry).size())};
    base::copy_in(out, first.data, first.len);
    uint64_t at = first_bytes(f);
    uint64_t cursor = 0;
    while (at < front_bytes(f)) {
        Segment rest;
        if (pieces(pin, at, front_bytes(f), &cursor, &rest, 1) == 0) {
            return false;
        }
        base::copy_in(out + (at - names_bytes(f)), rest.data, rest.len);
        at += rest.len;
    }
    return true;
}
uint16_t Store::flags(const Pin& pin) noexcept { return pin.entry->fixed.flags; }
const uint64_t* Store::selectors(const Pin& pin, uint32_t* count) noexcept {
    *count = pin.entry->fixed.selector_count;
    return selectors_of(*pin.entry);
}
uint64_t Store::birth(const Pin& pin) noexcept {
    return pin.entry->birth.load_acquire();  // [entry-birth]
}
uint64_t Store::asked(const Pin& pin) noexcept { return asked_at(*pin.entry); }
int64_t Store::fresh_until(const Pin& pin) noexcept {
    return pin.entry->fresh_until.load_relaxed();  // relaxed: a value by itself
}
int64_t Store::stale_until(const Pin& pin) noexcept { return pin.entry->stale_until.load_relaxed(); }
uint32_t Store::fill_cost_us(const Pin& pin) noexcept { return pin.entry->fixed.fill_cost_us; }
uint32_t Store::hits(const Pin& pin) noexcept { return pin.entry->freq.load_relaxed(); }

int64_t Store::body_length(const Pin& pin) noexcept {
    const uint32_t total = pin.entry->body_total.load_acquire();  // [body]
    return total == kUnknownLength ? -1 : int64_t{total};
}

uint64_t Store::body_available(const Pin& pin) noexcept {
    // [body] the bytes and the runs before them are there. seq_cst: a watcher that has set its bit in the lease
    // and then reads the old figure is woken by the owner, who stores first and looks for bits afterwards.
    return pin.entry->body_available.load_seq_cst();
}

bool Store::is_complete(const Pin& pin) noexcept {
    const uint32_t total = pin.entry->body_total.load_acquire();  // [body]
    return total != kUnknownLength && pin.entry->body_available.load_seq_cst() == total;
}

bool Store::is_filling(const Pin& pin) noexcept {
    return pin.entry->state.load_acquire() == static_cast<uint8_t>(EntryState::kFilling);  // [entry-state]
}

uint64_t Store::occupied_bytes(const Pin& pin) const noexcept { return pin.entry->occupied.load_relaxed(); }

uint32_t Store::segments(const Pin& pin, uint64_t offset, uint64_t* cursor, Segment* out, uint32_t cap) const noexcept {
    const uint64_t front = front_bytes(pin.entry->fixed);
    return pieces(pin, front + offset, front + body_available(pin), cursor, out, cap);
}

// cursor = run:32 | offset of the run's first payload byte within the chain's payload:32. Payload counts from the
// first run's header, so that all runs are alike: body byte 0 is payload byte front_bytes().
uint32_t Store::pieces(const Pin& pin, uint64_t at, uint64_t end, uint64_t* cursor, Segment* out,
                       uint32_t cap) const noexcept {
    const Shard* s = shard_of_ref(process(), pin.ref);
    uint32_t run = *cursor != 0 ? static_cast<uint32_t>(*cursor >> 32) : pin.ref;
    uint64_t start = *cursor != 0 ? *cursor & 0xffffffffU : 0;
    if (start > at) {  // a step back: from the beginning
        run = pin.ref;
        start = 0;
    }
    uint32_t n = 0;
    while (at < end && n < cap && is_run(process(), *s, run, pin.ref)) {
        const RunHeader* r = region(process()).run(run);
        const uint64_t payload = r->len.load_relaxed() - kRunHeaderBytes;
        if (at < start + payload) {
            const uint64_t stop = start + payload < end ? start + payload : end;
            const char* data = reinterpret_cast<const char*>(r + 1) + (at - start);
            out[n++] = {data, static_cast<uint32_t>(stop - at)};
            at = stop;
        }
        *cursor = uint64_t{run} << 32 | start;
        if (at >= end || n == cap) {
            break;  // the last run's link is the writer's until more is available
        }
        start += payload;
        run = r->next.load_relaxed();  // relaxed: written before body_available grew past this run
    }
    return n;
}

}  // namespace slab_cache::shm
