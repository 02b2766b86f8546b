// cache/sealed_row.h — a row of figures in the zone that is whole, or is none.
//
// What        A row carries a hash of its words. Writers store, readers copy and compare: what two writers mixed, what one is in
//             the middle of, and what one left when it died does not fit its hash, and is passed over.
// Threading   any number of processes; no lock, nobody waits.
// Death       a row is lost, or is the one before it.
// Layout      zeroed memory is an empty row. For what is only looked at: who loses a row loses a line of a table.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/atom.h"
#include "base/hash.h"

namespace slab_cache::cache {

template <uint32_t kWords>
struct SealedRow {
    base::Atom<uint64_t> seal;
    base::Atom<uint64_t> word[kWords];

    void write(const uint64_t (&from)[kWords]) noexcept {
        for (uint32_t i = 0; i < kWords; i++) {
            word[i].store_relaxed(from[i]);
        }
        seal.store_relaxed(seal_of(from));
    }

    bool read(uint64_t (*to)[kWords]) const noexcept {
        const uint64_t sealed = seal.load_relaxed();
        for (uint32_t i = 0; i < kWords; i++) {
            (*to)[i] = word[i].load_relaxed();
        }
        return sealed != 0 && sealed == seal_of(*to);
    }

private:
    static uint64_t seal_of(const uint64_t (&words)[kWords]) noexcept {
        uint64_t h = kWords;
        for (const uint64_t w : words) {
            h = base::mix64(h, w);
        }
        return h | 1;
    }
};
static_assert(std::is_standard_layout_v<SealedRow<7>> && sizeof(SealedRow<7>) == 64);

}  // namespace slab_cache::cache
