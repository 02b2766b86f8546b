// Space: what repair and audit need. The rest is in space.cpp.
#include <cstring>

#include "shm/space.h"
#include "shm/space_bits.h"

namespace slab_cache::shm {

void Space::clear_locked() noexcept { std::memset(static_cast<void*>(header_), 0, metadata_bytes(blocks_)); }

bool Space::mark_run_locked(uint32_t ref, uint32_t bytes) noexcept {
    Place p;
    if (!locate(ref, bytes, &p)) {
        return false;
    }
    BlockInfo* i = info(p.block);
    const auto mode = static_cast<BlockMode>(i->mode);
    if ((mode != BlockMode::kFree && mode != p.mode) || !all_clear(bits(p.block), p.first, p.count)) {
        return false;
    }
    i->mode = static_cast<uint8_t>(p.mode);
    i->used = static_cast<uint16_t>(i->used + p.count);
    set_bits(bits(p.block), p.first, p.count);
    return true;
}

void Space::unmark_run_locked(uint32_t ref, uint32_t bytes) noexcept {
    Place p;
    if (!locate(ref, bytes, &p) || static_cast<BlockMode>(info(p.block)->mode) != p.mode ||
        !all_set(bits(p.block), p.first, p.count)) {
        return;
    }
    BlockInfo* i = info(p.block);
    clear_bits(bits(p.block), p.first, p.count);
    i->used = static_cast<uint16_t>(i->used - p.count);
    if (i->used == 0) {
        i->mode = static_cast<uint8_t>(BlockMode::kFree);
    }
}

void Space::finish_rebuild_locked() noexcept {
    std::memset(static_cast<void*>(header_), 0, sizeof(SpaceHeader));
    for (uint32_t b = blocks_; b-- > 0;) {  // downwards: the lists then begin with the lowest block
        BlockInfo* i = info(b);
        const auto mode = static_cast<BlockMode>(i->mode);
        i->longest = static_cast<uint16_t>(longest_row(bits(b), grains_of(mode)));
        header_->mode_count[i->mode]++;
        header_->used_bytes += i->used * grain_bytes(mode);
        link(b);
    }
}

const char* Space::audit_block(uint32_t block, uint64_t* used_bytes) const noexcept {
    const BlockInfo* i = info(block);
    if (i->mode > static_cast<uint8_t>(BlockMode::kTail)) {
        return "block mode is unknown";
    }
    const auto mode = static_cast<BlockMode>(i->mode);
    uint32_t used = 0;
    for (uint64_t w : bits(block)->word) {
        used += static_cast<uint32_t>(__builtin_popcountll(w));
    }
    if (used != i->used || (used == 0) != (mode == BlockMode::kFree)) {
        return "block's use count differs from its bits";
    }
    if (mode == BlockMode::kPage && !all_clear(bits(block), kPagesPerBlock, kUnitsPerBlock - kPagesPerBlock)) {
        return "page block has bits beyond its pages";
    }
    if (longest_row(bits(block), grains_of(mode)) != i->longest) {
        return "block's longest free row is wrong";
    }
    *used_bytes += uint64_t{used} * grain_bytes(mode);
    return nullptr;
}

const char* Space::audit_bins() const noexcept {
    uint32_t linked = 0;
    for (uint32_t bin = 0; bin < SpaceHeader::kBins; bin++) {
        const bool mapped = (header_->bin_map[bin / kWordBits] >> (bin % kWordBits) & 1) != 0;
        if (mapped != (header_->bin[bin] != 0)) {
            return "bin map differs from the bins";
        }
        uint32_t prev = 0;
        for (uint32_t at = header_->bin[bin]; at != 0; at = info(at - 1)->next) {
            if (at > blocks_ || ++linked > blocks_) {
                return "bin list leaves the blocks or is cyclic";
            }
            const BlockInfo* i = info(at - 1);
            if (i->prev != prev || i->longest == 0 || bin_of(static_cast<BlockMode>(i->mode), i->longest) != bin) {
                return "block is in a wrong bin";
            }
            prev = at;
        }
    }
    uint32_t with_room = 0;
    for (uint32_t b = 0; b < blocks_; b++) {
        with_room += info(b)->longest != 0 ? 1 : 0;
    }
    return linked == with_room ? nullptr : "block with room is in no bin";
}

const char* Space::audit_locked() const noexcept {
    uint64_t used_bytes = 0;
    uint32_t count[3] = {};
    for (uint32_t b = 0; b < blocks_; b++) {
        const char* wrong = audit_block(b, &used_bytes);
        if (wrong != nullptr) {
            return wrong;
        }
        count[info(b)->mode]++;
    }
    if (used_bytes != header_->used_bytes || count[0] != header_->mode_count[0] || count[1] != header_->mode_count[1] ||
        count[2] != header_->mode_count[2]) {
        return "space totals differ from the blocks";
    }
    return audit_bins();
}

}  // namespace slab_cache::shm
