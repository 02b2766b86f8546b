#include "shm/index.h"

#include "shm/entry_runs.h"

namespace slab_cache::shm {
namespace {

// Calls fn(slot) for every slot of the digest's chain until it returns true; that slot, else null.
template <class Fn>
Atom<uint64_t>* walk(const Context& c, const Shard& s, const Digest& d, Fn fn) noexcept {
    Bucket* b = bucket_at(c, s, bucket_of(c, d));
    for (uint32_t last = 0; b != nullptr; b = next_bucket(c, s, b, &last)) {
        for (Atom<uint64_t>& slot : b->slot) {
            if (fn(slot.load_relaxed())) {  // relaxed: only lock holders write
                return &slot;
            }
        }
    }
    return nullptr;
}

bool is_empty(const Bucket& b) noexcept {
    for (const Atom<uint64_t>& slot : b.slot) {
        if (slot.load_relaxed() != 0) {
            return false;
        }
    }
    return true;
}

// 1 + index of an overflow bucket in no chain, 0 when there is none left.
uint32_t take_overflow_locked(const Context& c, Shard* s) noexcept {
    const uint32_t link = s->overflow_free;
    if (link != 0 && link <= s->overflow_used && link <= c.geo.overflow_count &&
        is_empty(*overflow_at(c, *s, link - 1))) {
        s->overflow_free = overflow_at(c, *s, link - 1)->gen;
        return link;
    }
    s->overflow_free = 0;
    return s->overflow_used < c.geo.overflow_count ? ++s->overflow_used : 0;
}

// The overflow bucket that this slot lies in; null for a home bucket.
const Bucket* overflow_of(const Context& c, const Shard& s, const Atom<uint64_t>* slot) noexcept {
    const uint64_t at = reinterpret_cast<uintptr_t>(slot) - reinterpret_cast<uintptr_t>(overflow_at(c, s, 0));
    return at / sizeof(Bucket) < c.geo.overflow_count ? overflow_at(c, s, static_cast<uint32_t>(at / sizeof(Bucket)))
                                                      : nullptr;
}

// Its own link stays until it is used again: who stands on it goes on.
void leave_chain_locked(const Context& c, Shard* s, const Digest& d, const Bucket* empty) noexcept {
    uint32_t last = 0;
    Bucket* before = nullptr;
    for (Bucket* b = bucket_at(c, *s, bucket_of(c, d)); b != nullptr; b = next_bucket(c, *s, b, &last)) {
        if (b == empty && before != nullptr) {
            const uint32_t link = last;
            before->overflow.store_release(b->overflow.load_relaxed());  // [overflow-link]
            free_overflow_locked(c, s, link - 1);
            return;
        }
        before = b;
    }
}

}  // namespace

Atom<uint64_t>* slot_of_locked(const Context& c, const Shard& s, const Digest& d, uint32_t ref) noexcept {
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
    const uint32_t link = take_overflow_locked(c, s);
    if (link == 0) {
        return nullptr;
    }
    // Links rise: its place in the chain is before the first that is higher.
    Bucket* before = bucket_at(c, *s, bucket_of(c, d));
    uint32_t last = 0;
    for (Bucket* b = before; b != nullptr && last < link; b = next_bucket(c, *s, b, &last)) {
        before = b;
    }
    Bucket* fresh = overflow_at(c, *s, link - 1);
    for (Atom<uint64_t>& slot : fresh->slot) {
        slot.store_relaxed(0);  // relaxed: published by the link below
    }
    fresh->gen = 0;
    fresh->overflow.store_release(before->overflow.load_relaxed());  // [overflow-link]
    before->overflow.store_release(link);                            // [overflow-link]
    return &fresh->slot[0];
}

Atom<uint64_t>* cheapest_slot_locked(const Context& c, const Shard& s, const Digest& d) noexcept {
    uint64_t least = ~uint64_t{0};
    uint64_t least_word = 0;
    walk(c, s, d, [&](uint64_t w) {
        if (w != 0) {
            const Entry* e = owns(c, s, word_ref(w)) ? region(c).entry(word_ref(w)) : nullptr;
            const uint64_t worth = e == nullptr ? 0 : uint64_t{e->freq.load_relaxed()} << 56 | e->value >> 8;
            if (least_word == 0 || worth < least) {
                least = worth;
                least_word = w;
            }
        }
        return false;
    });
    return least_word == 0 ? nullptr : slot_of_locked(c, s, d, word_ref(least_word));
}

void publish_locked(const Context& c, const Shard& s, Atom<uint64_t>* slot, const Digest& d, uint32_t ref) noexcept {
    Bucket* home = bucket_at(c, s, bucket_of(c, d));
    const uint64_t gen = ++home->gen & 0xffff;
    // [index-publish] everything of the entry is visible to who loads this word. [index-unlink] seq_cst: it also
    // unlinks the entry that was there; a reader that saw the old word either sees this or is seen by the scan.
    slot->store_seq_cst(uint64_t{tag_of(d)} << 48 | gen << 32 | ref);
}

void erase_locked(const Context& c, Shard* s, const Digest& d, Atom<uint64_t>* slot) noexcept {
    slot->store_seq_cst(0);  // [index-unlink]
    if (const Bucket* b = overflow_of(c, *s, slot); b != nullptr && is_empty(*b)) {
        leave_chain_locked(c, s, d, b);
    }
}

void free_overflow_locked(const Context& c, Shard* s, uint32_t index) noexcept {
    overflow_at(c, *s, index)->gen = s->overflow_free;
    s->overflow_free = index + 1;
}

}  // namespace slab_cache::shm
