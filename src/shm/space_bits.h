// shm/space_bits.h — rows of clear bits in a block's bitmap. Internal to space*.cpp.
//
// Threading   values under the shard lock; nothing is atomic.
// Units       a grain is a page of a PAGE block or a unit of a TAIL block; bit i = grain i is in use.
#pragma once

#include <cstdint>

#include "shm/space.h"

namespace slab_cache::shm {

inline constexpr uint32_t kWordBits = 64;
inline constexpr uint32_t kFreeBin = 0;
inline constexpr uint32_t kFirstPageBin = 1;
inline constexpr uint32_t kFirstTailBin = kFirstPageBin + kPagesPerBlock;

constexpr uint32_t grains_of(BlockMode m) { return m == BlockMode::kPage ? kPagesPerBlock : kUnitsPerBlock; }
constexpr uint32_t grain_bytes(BlockMode m) { return m == BlockMode::kPage ? kPageBytes : kUnitBytes; }

inline uint64_t mask_of(uint32_t from,
                        uint32_t to) {  // bits from … to - 1 of one word; from < to <= 64
    return (~uint64_t{0} >> (kWordBits - (to - from))) << from;
}

// Calls fn(word, mask) for the words that [first, first + count) touches.
template <class Fn>
inline void for_each_word(uint32_t first, uint32_t count, Fn fn) {
    const uint32_t end = first + count;
    for (uint32_t i = first; i < end;) {
        const uint32_t word_end = (i / kWordBits + 1) * kWordBits;
        const uint32_t stop = end < word_end ? end : word_end;
        fn(i / kWordBits, mask_of(i % kWordBits, stop - i / kWordBits * kWordBits));
        i = stop;
    }
}

inline void set_bits(BlockBits* b, uint32_t first, uint32_t count) {
    for_each_word(first, count, [b](uint32_t w, uint64_t m) { b->word[w] |= m; });
}
inline void clear_bits(BlockBits* b, uint32_t first, uint32_t count) {
    for_each_word(first, count, [b](uint32_t w, uint64_t m) { b->word[w] &= ~m; });
}
inline bool all_set(const BlockBits* b, uint32_t first, uint32_t count) {
    bool all = true;
    for_each_word(first, count, [&](uint32_t w, uint64_t m) { all &= (b->word[w] & m) == m; });
    return all;
}
inline bool all_clear(const BlockBits* b, uint32_t first, uint32_t count) {
    bool all = true;
    for_each_word(first, count, [&](uint32_t w, uint64_t m) { all &= (b->word[w] & m) == 0; });
    return all;
}

// The first bit at or after `from` that is set (flip = 0) or clear (flip = ~0); `end` when there is none.
inline uint32_t next_bit(const BlockBits* b, uint32_t from, uint32_t end, uint64_t flip) {
    while (from < end) {
        const uint64_t w = (b->word[from / kWordBits] ^ flip) >> (from % kWordBits);
        if (w != 0) {
            const uint32_t at = from + static_cast<uint32_t>(__builtin_ctzll(w));
            return at < end ? at : end;
        }
        from = (from / kWordBits + 1) * kWordBits;
    }
    return end;
}
inline uint32_t next_set(const BlockBits* b, uint32_t from, uint32_t end) { return next_bit(b, from, end, 0); }
inline uint32_t next_clear(const BlockBits* b, uint32_t from, uint32_t end) {
    return next_bit(b, from, end, ~uint64_t{0});
}

// Where the row of clear bits that ends right before `from` begins.
inline uint32_t clear_row_begin(const BlockBits* b, uint32_t from) {
    while (from > 0) {
        const uint32_t last = from - 1;
        const uint64_t w = b->word[last / kWordBits] << (kWordBits - 1 - last % kWordBits);
        if (w != 0) {
            return from - static_cast<uint32_t>(__builtin_clzll(w));
        }
        from = last / kWordBits * kWordBits;
    }
    return 0;
}

// One pass over the rows of clear bits.
struct Rows {
    uint32_t fit_first = 0;
    uint32_t fit_count = 0;  // the shortest row of at least `want`, else the longest; 0 = block is full
    uint32_t longest = 0;    // of the other rows
};

inline Rows scan_rows(const BlockBits* b, uint32_t grains, uint32_t want) {
    Rows r;
    for (uint32_t i = next_clear(b, 0, grains); i < grains;) {
        const uint32_t end = next_set(b, i, grains);
        const uint32_t n = end - i;
        const bool fits = n >= want;
        const bool had_fit = r.fit_count >= want;
        uint32_t other = n;
        if (fits == had_fit ? (fits ? n < r.fit_count : n > r.fit_count) : fits) {
            other = r.fit_count;
            r.fit_first = i;
            r.fit_count = n;
        }
        r.longest = other > r.longest ? other : r.longest;
        i = next_clear(b, end, grains);
    }
    return r;
}

inline uint32_t longest_row(const BlockBits* b, uint32_t grains) { return scan_rows(b, grains, grains + 1).fit_count; }

// The bin of a block whose longest row is `longest` (> 0). Nonsense has a bin too: it comes out of the zone.
inline uint32_t bin_of(BlockMode mode, uint32_t longest) {
    longest = longest < kUnitsPerBlock ? longest : kUnitsPerBlock - 1;
    if (mode == BlockMode::kFree) {
        return kFreeBin;
    }
    if (mode == BlockMode::kPage) {
        return kFirstPageBin + (longest < kPagesPerBlock ? longest : kPagesPerBlock) - 1;
    }
    if (longest <= SpaceHeader::kExactTailBins) {
        return kFirstTailBin + longest - 1;
    }
    const uint32_t e = 31 - static_cast<uint32_t>(__builtin_clz(longest));
    const uint32_t quarter = (longest >> (e - 2)) & 3;
    return kFirstTailBin + SpaceHeader::kExactTailBins + (e - 7) * 4 + quarter;
}

}  // namespace slab_cache::shm
