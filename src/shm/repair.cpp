#include "shm/repair.h"

#include "shm/entry_runs.h"
#include "shm/counters.h"
#include "shm/index.h"
#include "shm/reclaim.h"

namespace slab_cache::shm {
namespace {

class Repair {
    static constexpr uint32_t kUnseen = ~0U;  // gen of an overflow bucket that no chain has led to yet

public:
    Repair(Context* c, Shard* s) noexcept : c_(c), s_(s), space_(space_of(*c, *s)) {}

    void run() noexcept {
        space_.clear_locked();
        queues_of(*c_, *s_).clear_locked();
        s_->retired_head = s_->retired_count = s_->overflow_used = s_->overflow_free = 0;
        s_->retired_bytes = s_->filling_bytes = s_->live_bytes = s_->entries = s_->side_bytes = 0;
        keep_index();
        keep_fills();
        keep_pinned();
        space_.finish_rebuild_locked();
        s_->wants_repair = 0;
        count(*c_, Counter::kRepairs);
    }

private:
    // Overflow buckets in use are the highest link seen; a link that does not rise is cut.
    void keep_index() noexcept {
        for (uint32_t i = 0; i < c_->geo.overflow_count; i++) {
            overflow_at(*c_, *s_, i)->gen = kUnseen;
        }
        keep_chains();
        for (uint32_t i = s_->overflow_used; i > 0; i--) {
            Bucket* b = overflow_at(*c_, *s_, i - 1);
            if (b->gen == kUnseen) {
                for (Atom<uint64_t>& slot : b->slot) {
                    slot.store_seq_cst(0);  // [index-unlink]
                }
                free_overflow_locked(*c_, s_, i - 1);
            }
        }
    }

    void keep_chains() noexcept {
        for (uint32_t i = 0; i < c_->geo.bucket_count; i++) {
            Bucket* b = bucket_at(*c_, *s_, i);
            uint32_t last = 0;
            while (b != nullptr) {
                for (Atom<uint64_t>& slot : b->slot) {
                    keep_slot(i, &slot);
                }
                if (last != 0) {
                    b->gen = 0;
                }
                Bucket* next = next_bucket(*c_, *s_, b, &last);
                if (next != nullptr && next->gen != kUnseen) {
                    next = nullptr;  // another chain's
                }
                if (next == nullptr && b->overflow.load_relaxed() != 0) {
                    b->overflow.store_release(0);  // [overflow-link]
                }
                b = next;
            }
            s_->overflow_used = last > s_->overflow_used ? last : s_->overflow_used;
        }
    }

    void keep_slot(uint32_t bucket, Atom<uint64_t>* slot) noexcept {
        const uint64_t w = slot->load_relaxed();
        if (w == 0) {
            return;
        }
        const uint32_t ref = word_ref(w);
        if (!is_entry(*c_, *s_, ref) || !belongs(bucket, w, *region(*c_).entry(ref)) || !is_whole(ref) || !mark(ref)) {
            slot->store_seq_cst(0);  // [index-unlink]
            count(*c_, Counter::kRepairDropped);
            return;
        }
        Entry* e = region(*c_).entry(ref);
        e->state.store_relaxed(static_cast<uint8_t>(EntryState::kLive));
        s_->entries++;
        s_->live_bytes += front_bytes(e->fixed) + uint64_t{e->body_total.load_relaxed()};
        s_->side_bytes += side_bytes_of(*e);
        e->queue = 0;
        queues_of(*c_, *s_).push_rebuilt_locked(ref);
    }

    bool belongs(uint32_t bucket, uint64_t word, const Entry& e) const noexcept {
        const Digest d = digest_of(e);
        return bucket_of(*c_, d) == bucket && tag_of(d) == word_tag(word) && shard_of(*c_, d) == s_;
    }

    // A published object has all of its body in its chain.
    bool is_whole(uint32_t ref) const noexcept {
        const Entry* e = region(*c_).entry(ref);
        const uint32_t total = e->body_total.load_relaxed();
        ChainSize size;
        return total != kUnknownLength && e->body_available.load_relaxed() == total &&
               measure_chain(*c_, *s_, ref, &size) && size.payload >= front_bytes(e->fixed) + uint64_t{total};
    }

    // Under the lock a living process's unfinished[] is always a filling entry. What is none was left by one that died
    // on its way out of commit() or abort(): it must go, or the reaper takes whoever fills at that place next.
    void keep_fills() noexcept {
        for (uint32_t i = 0; i < c_->geo.worker_count; i++) {
            Atom<uint32_t>* unfinished = unfinished_cells(*c_, worker_record(*c_, i));
            for (uint32_t f = 0; f < c_->geo.unfinished_per_worker; f++) {
                const uint32_t ref = unfinished[f].load_acquire();  // [unfinished]
                if (!owns(*c_, *s_, ref)) {
                    continue;
                }
                if (is_entry(*c_, *s_, ref) && state_of(*region(*c_).entry(ref)) == EntryState::kFilling && mark(ref)) {
                    s_->filling_bytes += region(*c_).entry(ref)->occupied.load_relaxed();
                } else {
                    unfinished[f].store_release(0);  // [unfinished]
                }
            }
        }
    }

    // Out of the index, yet somebody reads it: retired. A slot may also hold a ref that its reader is about to
    // find changed; then there is no sound entry, or its runs are others' by now and mark() refuses.
    void keep_pinned() noexcept {
        for (uint32_t i = 0; i < c_->geo.worker_count; i++) {
            WorkerRecord* w = worker_record(*c_, i);
            Atom<uint32_t>* slots = slot_cells(*c_, w);
            for (uint32_t s = 0; s < c_->geo.slots_per_worker; s++) {
                const uint32_t ref = slots[s].load_seq_cst();  // [pin-publish]
                if (ref != 0 && is_entry(*c_, *s_, ref) && mark(ref)) {
                    region(*c_).entry(ref)->queue = 0;
                    retire_locked(*c_, s_, ref);
                }
            }
        }
    }

    // Claims all runs of the chain or none.
    bool mark(uint32_t ref) noexcept {
        ChainSize size;
        if (!measure_chain(*c_, *s_, ref, &size)) {
            return false;
        }
        for (uint32_t at = ref; at != 0; at = region(*c_).run(at)->next.load_relaxed()) {
            if (!space_.mark_run_locked(at, region(*c_).run(at)->len.load_relaxed())) {
                unmark_until(ref, at);
                return false;
            }
        }
        region(*c_).entry(ref)->occupied.store_relaxed(static_cast<uint32_t>(size.occupied));
        return true;
    }

    void unmark_until(uint32_t ref, uint32_t end) noexcept {
        for (uint32_t at = ref; at != end; at = region(*c_).run(at)->next.load_relaxed()) {
            space_.unmark_run_locked(at, region(*c_).run(at)->len.load_relaxed());
        }
    }

    Context* c_;
    Shard* s_;
    Space space_;
};

}  // namespace

bool wants_repair_locked(const Context& c, const Shard& shard) noexcept {
    return shard.wants_repair != 0 || queues_of(c, shard).is_broken_locked();
}

// SLAB_BROKEN_TWIN is set only in a module that tests/torture must find broken (make torture-twin).
void repair_locked(Context* c, Shard* shard) noexcept {
#if defined(SLAB_BROKEN_TWIN) && SLAB_BROKEN_TWIN == 3
    shard->wants_repair = 0;
    count(*c, Counter::kRepairs);
#else
    Repair(c, shard).run();
#endif
}

}  // namespace slab_cache::shm
