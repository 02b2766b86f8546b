#include "shm/index.h"

#include "shm/chain.h"

namespace slab_cache::shm {
namespace {

// Calls fn(slot) for every slot of the digest's chain until it returns true; that slot, else null.
template <class Fn>
Atom<uint64_t>* walk(const Context& c, const Shard& s, const Digest& d, Fn fn) noexcept {
    Bucket* b = bucket_at(c, s, bucket_of(s, d));
    for (uint32_t last = 0; b != nullptr; b = next_bucket(c, s, b, &last)) {
        for (Atom<uint64_t>& slot : b->slot) {
            if (fn(slot.load_relaxed())) {  // relaxed: only lock holders write
                return &slot;
            }
        }
    }
    return nullptr;
}

}  // namespace

Atom<uint64_t>* slot_of_locked(const Context& c, const Shard& s, const Digest& d,
                               uint32_t ref) noexcept {
    return walk(c, s, d, [ref](uint64_t w) { return w != 0 && word_ref(w) == ref; });
}

Atom<uint64_t>* find_locked(const Context& c, const Shard& s, const Digest& d, Bytes key) noexcept {
    return walk(c, s, d, [&](uint64_t w) {
        return w != 0 && word_tag(w) == tag_of(d) && is_entry(c, s, word_ref(w)) &&
               has_key(*region(c).entry(word_ref(w)), d, key);
    });
}

Atom<uint64_t>* find_digest_locked(const Context& c, const Shard& s, const Digest& d) noexcept {
    return walk(c, s, d, [&](uint64_t w) {
        return w != 0 && word_tag(w) == tag_of(d) && is_entry(c, s, word_ref(w)) &&
               digest_of(*region(c).entry(word_ref(w))) == d;
    });
}

Atom<uint64_t>* empty_slot_locked(const Context& c, Shard* s, const Digest& d) noexcept {
    if (Atom<uint64_t>* slot = walk(c, *s, d, [](uint64_t w) { return w == 0; }); slot != nullptr) {
        return slot;
    }
    if (s->overflow_used >= s->overflow_count) {
        return nullptr;
    }
    Bucket* end = bucket_at(c, *s, bucket_of(*s, d));
    uint32_t last = 0;
    for (Bucket* b = end; b != nullptr; b = next_bucket(c, *s, b, &last)) {
        end = b;
    }
    Bucket* fresh = overflow_at(c, *s, s->overflow_used);
    for (Atom<uint64_t>& slot : fresh->slot) {
        slot.store_relaxed(0);  // relaxed: published by the link below
    }
    fresh->overflow.store_relaxed(0);
    end->overflow.store_release(++s->overflow_used);  // [overflow-link]
    return &fresh->slot[0];
}

Atom<uint64_t>* cheapest_slot_locked(const Context& c, const Shard& s, const Digest& d) noexcept {
    uint64_t least = ~uint64_t{0};
    uint64_t least_word = 0;
    walk(c, s, d, [&](uint64_t w) {
        if (w != 0) {
            const Entry* e = owns(s, word_ref(w)) ? region(c).entry(word_ref(w)) : nullptr;
            const uint64_t worth =
                e == nullptr ? 0 : uint64_t{e->freq.load_relaxed()} << 56 | e->value >> 8;
            if (least_word == 0 || worth < least) {
                least = worth;
                least_word = w;
            }
        }
        return false;
    });
    return least_word == 0 ? nullptr : slot_of_locked(c, s, d, word_ref(least_word));
}

void publish_locked(const Context& c, const Shard& s, Atom<uint64_t>* slot, const Digest& d,
                    uint32_t ref) noexcept {
    Bucket* home = bucket_at(c, s, bucket_of(s, d));
    const uint64_t gen = ++home->gen & 0xffff;
    // [index-publish] everything of the entry is visible to who loads this word. [index-unlink] seq_cst: it also
    // unlinks the entry that was there; a reader that saw the old word either sees this or is seen by the scan.
    slot->store_seq_cst(uint64_t{tag_of(d)} << 48 | gen << 32 | ref);
}

void erase_locked(Atom<uint64_t>* slot) noexcept {
    slot->store_seq_cst(0);  // [index-unlink]
}

}  // namespace slab_cache::shm
