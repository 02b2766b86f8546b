// Objects on their way from one zone into another that takes its place: Store::carry().
#include <cstdlib>

#include "shm/entry_runs.h"
#include "shm/index.h"
#include "shm/lock.h"
#include "shm/reclaim.h"
#include "shm/store_context.h"

namespace slab_cache::shm {
namespace {

constexpr uint32_t kSlice = 64;  // buckets per lock hold of the old zone, as the sweeper does
constexpr uint32_t kSegments = 16;

struct Candidate {
    uint64_t heat;
    const Atom<uint64_t>* slot;
    uint64_t word;
};

// In heap memory: the index of the old zone as it was, most useful first.
struct List {
    Candidate* at = nullptr;
    uint64_t size = 0;
    uint64_t room = 0;

    List() noexcept = default;
    List(const List&) = delete;
    List& operator=(const List&) = delete;
    ~List() noexcept { std::free(at); }
};

void list_slice_locked(const Context& c, const Shard& s, uint32_t from, uint32_t to, List* list) noexcept {
    const EvictQueues queues = queues_of(c, s);
    for (uint32_t i = from; i < to; i++) {
        uint32_t last = 0;
        for (const Bucket* b = bucket_at(c, s, i); b != nullptr; b = next_bucket(c, s, b, &last)) {
            for (const Atom<uint64_t>& slot : b->slot) {
                const uint64_t word = slot.load_relaxed();  // relaxed: under the lock
                if (word != 0 && list->size < list->room && is_entry(c, s, word_ref(word))) {
                    list->at[list->size++] = {queues.heat_locked(word_ref(word)), &slot, word};
                }
            }
        }
    }
}

int hotter_first(const void* a, const void* b) noexcept {
    const uint64_t x = static_cast<const Candidate*>(a)->heat;
    const uint64_t y = static_cast<const Candidate*>(b)->heat;
    return x > y ? -1 : x < y ? 1 : 0;
}

bool list_all(Context* c, List* list) noexcept {
    for (uint32_t i = 0; i < c->geo.shard_count; i++) {
        list->room += shard_at(*c, i)->entries + 1024;  // a hint: others go on storing
    }
    list->room = list->room < c->bytes / kRefBytes ? list->room : c->bytes / kRefBytes;
    list->at = static_cast<Candidate*>(std::malloc(list->room * sizeof(Candidate)));
    if (list->at == nullptr) {
        return false;
    }
    for (uint32_t i = 0; i < c->geo.shard_count; i++) {
        Shard* s = shard_at(*c, i);
        for (uint32_t at = 0; at < c->geo.bucket_count; at += kSlice) {
            ShardLock lock(c, s, ShardLock::Patience::kUpkeep);
            if (lock) {
                const uint32_t end = c->geo.bucket_count - at < kSlice ? c->geo.bucket_count : at + kSlice;
                list_slice_locked(*c, *s, at, end, list);
            }
        }
    }
    std::qsort(list->at, list->size, sizeof(Candidate), hotter_first);
    return true;
}

class Mover {
public:
    Mover(Store* from, const Context& there, Store* to, Context* here, int64_t now_sec) noexcept
        : from_(from), there_(there), to_(to), here_(here), now_sec_(now_sec) {}

    Mover(const Mover&) = delete;
    Mover& operator=(const Mover&) = delete;
    ~Mover() noexcept { std::free(long_head_); }

    // 0 where it was not carried over, else its size in the old zone.
    uint64_t move(const Candidate& what) noexcept {
        if (pin_ref(there_, *what.slot, what.word) != PinAnswer::kPinned) {
            return 0;  // gone meanwhile
        }
        const uint32_t ref = word_ref(what.word);
        Pin pin = {region(there_).entry(ref), ref};
        const Shard* s = shard_of_ref(there_, ref);
        uint64_t bytes = 0;
        if (s != nullptr && is_entry(there_, *s, ref) && Store::is_complete(pin) && has_room(pin) && copy(pin)) {
            settle(pin, what.heat);
            bytes = pin.entry->occupied.load_relaxed();
        }
        from_->unpin(&pin);
        return bytes;
    }

private:
    // A sixteenth stays free: the first fills after the change need not evict.
    bool has_room(const Pin& pin) noexcept {
        Shard* s = shard_of(*here_, digest_of(*pin.entry));
        const uint64_t used = space_of(*here_, *s).used_bytes();  // nobody else is here: no lock needed
        return used + pin.entry->occupied.load_relaxed() <= capacity(*here_) - capacity(*here_) / 16;
    }

    bool copy(const Pin& pin) noexcept {
        const Entry& e = *pin.entry;
        NewEntry what;
        what.digest = digest_of(e);
        what.key = key_of(e);
        what.head = whole_head(pin);
        if (what.head.empty() && head_bytes(e.fixed) != 0) {
            return false;
        }
        what.selectors = Store::selectors(pin, &what.selector_count);
        // Born after the counter was taken over: older here, and so a victim of what was purged in between.
        const uint64_t birth = Store::birth(pin);
        what.birth = birth < to_->carried_seq() ? birth : to_->carried_seq();
        what.fresh_until_sec = Store::fresh_until(pin);
        what.stale_until_sec = Store::stale_until(pin);
        what.body_bytes = Store::body_length(pin);
        what.fill_cost_us = e.fixed.fill_cost_us;
        what.flags = e.fixed.flags;
        what.stored_sec = int64_t{e.fixed.stored_sec};
        Writer w;
        const bool done = to_->begin(what, now_sec_, &w) == Status::kOk && copy_body(pin, &w) &&
                          to_->commit(&w, now_sec_) == Status::kOk;
        to_->abort(&w);
        return done;
    }

    // One that is longer than a block is put together in memory of ours. Empty where that failed.
    Bytes whole_head(const Pin& pin) noexcept {
        const Bytes begins = head_of(*pin.entry);
        if (begins.size() == head_bytes(pin.entry->fixed)) {
            return begins;
        }
        if (long_head_ == nullptr) {
            long_head_ = static_cast<char*>(std::malloc(kMaxHeadBytes));
        }
        return long_head_ != nullptr && from_->copy_head(pin, long_head_)
                   ? Bytes{long_head_, head_bytes(pin.entry->fixed)}
                   : Bytes{};
    }

    bool copy_body(const Pin& pin, Writer* w) noexcept {
        const auto total = static_cast<uint64_t>(Store::body_length(pin));
        uint64_t cursor = 0;
        while (w->written < total) {
            Segment seg[kSegments];
            const uint32_t n = from_->segments(pin, w->written, &cursor, seg, kSegments);
            for (uint32_t i = 0; i < n; i++) {
                if (to_->append(w, {seg[i].data, seg[i].len}, now_sec_) != Status::kOk) {
                    return false;
                }
            }
            if (n == 0) {
                return false;  // its chain is shorter than its body: nonsense
            }
        }
        return true;
    }

    void settle(const Pin& old, uint64_t heat) noexcept {
        Pin pin;
        if (to_->find(digest_of(*old.entry), key_of(*old.entry), &pin) != Status::kOk) {
            return;
        }
        Shard* s = shard_of_ref(*here_, pin.ref);
        if (ShardLock lock(here_, s, ShardLock::Patience::kStore); lock) {
            queues_of(*here_, *s).settle_locked(pin.ref, heat, old.entry->freq.load_relaxed());
        }
        to_->unpin(&pin);
    }

    Store* from_;
    const Context& there_;
    Store* to_;
    Context* here_;
    int64_t now_sec_;
    char* long_head_ = nullptr;  // kMaxHeadBytes, once one was needed
};

}  // namespace

Carried Store::carry(Store* old, const CarryRules& rules) noexcept {
    Carried out;
    List list;
    if (process().local == nullptr || old->process().local == nullptr || !list_all(&old->process(), &list)) {
        out.cut_short = true;
        return out;
    }
    out.found = list.size;
    process().evicts = false;
    Mover mover(old, old->process(), this, &process(), rules.now_sec);
    for (uint64_t i = 0; i < list.size; i++) {
        if (rules.go_on != nullptr && !rules.go_on(rules.context)) {
            out.cut_short = true;
            break;
        }
        const uint64_t bytes = mover.move(list.at[i]);
        out.entries += bytes != 0 ? 1 : 0;
        out.bytes += bytes;
    }
    process().evicts = true;
    return out;
}

}  // namespace slab_cache::shm
