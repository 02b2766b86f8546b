// shm/space.h — who owns which bytes of a shard's blocks.
//
// What        A shard's space is a row of 64 KB blocks. A block is FREE, a PAGE block (8 pages of 8 KB, runs of whole
//             pages) or a TAIL block (1,024 units of 64 B, runs shorter than a page). An object is a chain of runs.
//             A block goes back to FREE when its last run does; neighbours coalesce by being bits of one bitmap.
// Threading   All of it belongs to the holder of the shard's lock.
// Ownership   A Space is one process's view: four words, as cheap as a pointer; it owns nothing.
// Units       bytes; refs are zone offsets / 64. A run's bytes are those of the whole run, its RunHeader included.
// Death       Everything here is derived: repair calls clear_locked(), mark_run_locked() for every run that is
//             still owned, finish_rebuild_locked(). What a dead worker had half done is forgotten that way.
// Cost        alloc: one descriptor and one scan of 128 B; free: no scan. Per block 144 B.
// Invariants  S1  A bit is set iff a run covers that unit; used counts and modes follow from the bits.     [audit]
//             S2  `longest` is the length of the block's longest row of clear bits.                        [audit]
//             S3  Each block is in the one bin of its mode and longest; full blocks are in none.           [audit]
//             S4  A run whose size is a multiple of 8 KB is a page run, any other is shorter than 8 KB and a
//                 tail run: so a block's mode can be told from any of its runs.                            [marks]
#pragma once

#include <cstdint>
#include <type_traits>

#include "shm/layout.h"

namespace slab_cache::shm {

enum class Kind : uint8_t {
    kPage,  // whole pages
    kTail,  // shorter than a page
    kAny,   // what suits the size, else the other: rather a run that fits badly than none
};

enum class BlockMode : uint8_t { kFree, kPage, kTail };

struct Run {
    uint32_t ref = 0;  // 0: none
    uint32_t bytes = 0;
    uint32_t behind = 0;  // of what alloc_run_locked() gave: bytes free right behind it
    explicit operator bool() const noexcept { return ref != 0; }
};

inline constexpr uint32_t kUnitBytes = 64;
inline constexpr uint32_t kUnitsPerBlock = kBlockBytes / kUnitBytes;
inline constexpr uint32_t kPagesPerBlock = kBlockBytes / kPageBytes;
inline constexpr uint32_t kMaxTailBytes = kPageBytes - kUnitBytes;
// From here on a tail run would save so little that a whole page serves better.
inline constexpr uint32_t kTailLimitBytes = 7 * 1024;
inline constexpr uint32_t kNoBlock = 0xffffffffU;

// What to ask alloc_run_locked() for next.
struct Ask {
    uint32_t want_bytes;
    uint32_t min_bytes;
    Kind kind;
};

// The next run for an object of which `payload_bytes` (> 0) are not placed yet: whole pages in runs of at most
// eight, then one tail run (which may come in up to four pieces), or a last page where less than 1 KB of it
// would be lost. Ask, place, subtract `run.bytes - kRunHeaderBytes`, and plan again with one tail piece less if
// this was one.
Ask plan_next_run(uint64_t payload_bytes, uint32_t tail_pieces_left = 4) noexcept;

struct BlockInfo {
    uint32_t next;  // block index + 1 in the bin's list, 0 = end
    uint32_t prev;
    uint16_t used;     // units or pages in use
    uint16_t longest;  // longest free row, in units or pages
    uint8_t mode;      // BlockMode
    uint8_t pad[3];
};
static_assert(sizeof(BlockInfo) == 16);

struct BlockBits {
    uint64_t word[kUnitsPerBlock / 64];
};
static_assert(sizeof(BlockBits) == 128);

struct SpaceHeader {
    // Tail bins: exact up to 128 units, then four to the doubling. Page bins: 1…8 pages.
    static constexpr uint32_t kExactTailBins = 128;
    static constexpr uint32_t kTailBins = kExactTailBins + 12;
    static constexpr uint32_t kBins = 1 + kPagesPerBlock + kTailBins;
    static constexpr uint32_t kBinWords = (kBins + 63) / 64;
    uint64_t used_bytes;
    uint32_t mode_count[3];  // blocks by BlockMode
    uint32_t pad0;
    uint64_t bin_map[kBinWords];  // bit = bin is not empty
    uint32_t bin[kBins];          // first block index + 1
    uint32_t pad1[3];
};
static_assert(std::is_standard_layout_v<SpaceHeader> && sizeof(SpaceHeader) % 8 == 0);

// Takes part in the zone's layout fingerprint.
inline constexpr uint64_t kSpaceFingerprint = sizeof(SpaceHeader) ^ (uint64_t{sizeof(BlockInfo)} << 16) ^
                                              (uint64_t{sizeof(BlockBits)} << 24) ^ (uint64_t{kUnitBytes} << 32);

class Space {
public:
    // For each run of a block its owner, as the run's header tells. False ends the walk. The callback may free
    // runs (of this block too), it must not allocate any.
    using OwnerFn = bool (*)(uint32_t owner_ref, uint32_t run_ref, void* context);
    using IsPinnedFn = bool (*)(uint32_t owner_ref, void* context);

    static uint64_t metadata_bytes(uint32_t blocks) noexcept;  // a multiple of 64

    // `metadata_offset`: metadata_bytes(blocks) of the shard; `blocks_offset`: its first block. Both 64-byte aligned.
    Space(char* zone_base, uint64_t metadata_offset, uint64_t blocks_offset, uint32_t blocks) noexcept
        : base_(zone_base),
          header_(reinterpret_cast<SpaceHeader*>(zone_base + metadata_offset)),
          first_ref_(static_cast<uint32_t>(blocks_offset / kRefBytes)),
          blocks_(blocks) {}

    void format_locked() noexcept;

    // A run of at least min_bytes, and as near to want_bytes (rounded up to units or pages, at most a block or
    // kMaxTailBytes) as can be had: best fit in a block of that kind, else a FREE block, else the longest shorter
    // row. None: evict and ask again. The run's header is the caller's to write, under this very lock hold.
    Run alloc_run_locked(uint32_t want_bytes, uint32_t min_bytes, Kind kind) noexcept;

    // free_run_locked() of a run at `ref` is likely to follow.
    void prefetch(uint32_t ref) const noexcept;

    // False (and nothing done) when this is not a run inside of one block, or not wholly in use.
    bool free_run_locked(uint32_t ref, uint32_t bytes) noexcept;

    // Gives back the end of a run. Returns the bytes it has now: new_bytes rounded up to units or pages;
    // old_bytes when there is nothing to give back. Writing the new length into the header is the caller's part.
    uint32_t shrink_run_locked(uint32_t ref, uint32_t old_bytes, uint32_t new_bytes) noexcept;

    uint64_t capacity_bytes() const noexcept { return uint64_t{blocks_} * kBlockBytes; }
    uint64_t used_bytes() const noexcept { return header()->used_bytes; }
    uint64_t free_bytes() const noexcept { return capacity_bytes() - used_bytes(); }
    uint32_t block_count(BlockMode m) const noexcept { return header()->mode_count[static_cast<uint32_t>(m)]; }

    // ---- the valve against calcification -----------------------------------------------------------------
    // After an allocation failed: true when so much is free, in the wrong shape, that emptying a sparse block
    // costs less than going on evicting in queue order.
    bool is_worth_cleaning_locked() const noexcept { return free_bytes() * 25 > capacity_bytes(); }

    // Of 16 random blocks the emptiest none of whose owners is pinned; kNoBlock when there is none.
    // Evict the owners that for_each_run_owner_in_block_locked() names and the block is FREE.
    uint32_t pick_block_to_clean_locked(uint32_t* random, IsPinnedFn is_pinned, void* context) const noexcept;

    // False when the callback ended the walk, or a run header in the block is nonsense.
    bool for_each_run_owner_in_block_locked(uint32_t block, OwnerFn fn, void* context) const noexcept;

    // ---- repair ------------------------------------------------------------------------------------------
    void clear_locked() noexcept;
    // Claims a run that a chain names. False (and nothing done) for anything that cannot be a run here or
    // overlaps one: the chain is then nonsense.
    bool mark_run_locked(uint32_t ref, uint32_t bytes) noexcept;
    void unmark_run_locked(uint32_t ref, uint32_t bytes) noexcept;  // takes a successful mark back
    void finish_rebuild_locked() noexcept;

    // nullptr when S1-S3 hold, else what does not, in words.
    const char* audit_locked() const noexcept;

private:
    struct Place {
        uint32_t block = 0;
        uint32_t first = 0;  // unit or page
        uint32_t count = 0;
        BlockMode mode = BlockMode::kFree;
    };

    SpaceHeader* header() const noexcept { return header_; }
    BlockInfo* info(uint32_t b) const noexcept { return reinterpret_cast<BlockInfo*>(header_ + 1) + b; }
    BlockBits* bits(uint32_t b) const noexcept { return reinterpret_cast<BlockBits*>(info(0) + blocks_) + b; }
    bool locate(uint32_t ref, uint32_t bytes, Place* place) const noexcept;
    uint32_t ref_at(uint32_t block, uint32_t first, BlockMode mode) const noexcept;
    void link(uint32_t block) noexcept;
    void unlink(uint32_t block) noexcept;
    void set_mode(uint32_t block, BlockMode mode) noexcept;
    uint32_t best_block(BlockMode mode, uint32_t count, uint32_t min_count) const noexcept;
    Run take(BlockMode mode, uint32_t want_bytes, uint32_t min_bytes) noexcept;
    Run take_from(uint32_t block, BlockMode mode, uint32_t count) noexcept;
    void give_back(const Place& place) noexcept;
    bool is_pinned_block(uint32_t block, IsPinnedFn is_pinned, void* context) const noexcept;
    const char* audit_block(uint32_t block, uint64_t* used_bytes) const noexcept;
    const char* audit_bins() const noexcept;

    char* base_;
    SpaceHeader* header_;
    uint32_t first_ref_;
    uint32_t blocks_;
};

}  // namespace slab_cache::shm
