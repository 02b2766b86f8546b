#include "shm/space.h"

#include "base/hash.h"
#include "shm/space_bits.h"

namespace slab_cache::shm {

namespace {

constexpr uint32_t kCandidates = 16;      // blocks looked at by the valve
constexpr uint32_t kMinPieceBytes = 256;  // shorter pieces of a tail would be mostly header

constexpr uint32_t max_run_bytes(BlockMode m) { return m == BlockMode::kPage ? kBlockBytes : kMaxTailBytes; }
constexpr uint32_t grains_for(uint32_t bytes, BlockMode m) { return bytes == 0 ? 1 : (bytes - 1) / grain_bytes(m) + 1; }

uint32_t first_bin(BlockMode m) { return m == BlockMode::kPage ? kFirstPageBin : kFirstTailBin; }
uint32_t end_bin(BlockMode m) { return m == BlockMode::kPage ? kFirstTailBin : SpaceHeader::kBins; }

// Lowest (or highest) bin of [from, end) that is not empty; `end` when there is none.
uint32_t lowest_bin(const SpaceHeader* h, uint32_t from, uint32_t end) {
    while (from < end) {
        const uint64_t w = h->bin_map[from / kWordBits] >> (from % kWordBits);
        if (w != 0) {
            const uint32_t at = from + static_cast<uint32_t>(__builtin_ctzll(w));
            return at < end ? at : end;
        }
        from = (from / kWordBits + 1) * kWordBits;
    }
    return end;
}
uint32_t highest_bin(const SpaceHeader* h, uint32_t from, uint32_t end) {
    for (uint32_t i = end; i > from; i--) {
        if ((h->bin_map[(i - 1) / kWordBits] >> ((i - 1) % kWordBits) & 1) != 0) {
            return i - 1;
        }
    }
    return end;
}

}  // namespace

Ask plan_next_run(uint64_t payload_bytes, uint32_t tail_pieces_left) noexcept {
    if (payload_bytes > kBlockBytes - kRunHeaderBytes) {
        return {kBlockBytes, kPageBytes, Kind::kPage};
    }
    const uint32_t need = static_cast<uint32_t>(payload_bytes) + kRunHeaderBytes;
    const uint32_t rest = need % kPageBytes;
    if (need >= kTailLimitBytes) {
        // The rest gets a run, and a header, of its own: that moves the limit.
        const bool last_page = rest >= kTailLimitBytes - kRunHeaderBytes;
        return {(need / kPageBytes + (last_page ? 1 : 0)) * kPageBytes, kPageBytes, Kind::kPage};
    }
    const uint32_t share = tail_pieces_left > 1 ? (need - 1) / tail_pieces_left + 1 : need;
    const uint32_t least = share > kMinPieceBytes ? share : kMinPieceBytes;
    return {need, least < need ? least : need, Kind::kTail};
}

uint64_t Space::metadata_bytes(uint32_t blocks) noexcept {
    const uint64_t n = sizeof(SpaceHeader) + uint64_t{blocks} * (sizeof(BlockInfo) + sizeof(BlockBits));
    return (n + kLineBytes - 1) & ~uint64_t{kLineBytes - 1};
}

void Space::format_locked() noexcept {
    clear_locked();
    finish_rebuild_locked();
}

uint32_t Space::ref_at(uint32_t block, uint32_t first, BlockMode mode) const noexcept {
    return first_ref_ + block * kUnitsPerBlock + first * (grain_bytes(mode) / kUnitBytes);
}

bool Space::locate(uint32_t ref, uint32_t bytes, Place* place) const noexcept {
    static_assert(kUnitBytes == kRefBytes);
    if (bytes == 0 || bytes % kUnitBytes != 0 || bytes > kBlockBytes || ref < first_ref_ ||
        ref - first_ref_ >= uint64_t{blocks_} * kUnitsPerBlock) {
        return false;
    }
    const BlockMode mode = bytes % kPageBytes == 0 ? BlockMode::kPage : BlockMode::kTail;
    const uint32_t at = (ref - first_ref_) % kUnitsPerBlock * kUnitBytes;
    if (bytes > max_run_bytes(mode) || at % grain_bytes(mode) != 0 || at + bytes > kBlockBytes) {
        return false;
    }
    *place = {(ref - first_ref_) / kUnitsPerBlock, at / grain_bytes(mode), bytes / grain_bytes(mode), mode};
    return true;
}

// ---- bins ---------------------------------------------------------------------------------------

void Space::link(uint32_t block) noexcept {
    BlockInfo* i = info(block);
    if (i->longest == 0) {
        i->next = i->prev = 0;
        return;
    }
    const uint32_t bin = bin_of(static_cast<BlockMode>(i->mode), i->longest);
    const uint32_t old = header_->bin[bin];
    i->next = old <= blocks_ ? old : 0;
    i->prev = 0;
    if (i->next != 0) {
        info(i->next - 1)->prev = block + 1;
    }
    header_->bin[bin] = block + 1;
    header_->bin_map[bin / kWordBits] |= uint64_t{1} << (bin % kWordBits);
}

void Space::unlink(uint32_t block) noexcept {
    const BlockInfo* i = info(block);
    if (i->longest == 0 || i->longest > kUnitsPerBlock) {
        return;
    }
    const uint32_t bin = bin_of(static_cast<BlockMode>(i->mode), i->longest);
    if (i->prev != 0 && i->prev <= blocks_) {
        info(i->prev - 1)->next = i->next;
    } else {
        header_->bin[bin] = i->next;
    }
    if (i->next != 0 && i->next <= blocks_) {
        info(i->next - 1)->prev = i->prev;
    }
    if (header_->bin[bin] == 0) {
        header_->bin_map[bin / kWordBits] &= ~(uint64_t{1} << (bin % kWordBits));
    }
}

void Space::set_mode(uint32_t block, BlockMode mode) noexcept {
    BlockInfo* i = info(block);
    if (i->mode <= static_cast<uint8_t>(BlockMode::kTail)) {
        header_->mode_count[i->mode]--;
    }
    header_->mode_count[static_cast<uint32_t>(mode)]++;
    i->mode = static_cast<uint8_t>(mode);
}

// ---- allocation ---------------------------------------------------------------------------------

// The block whose longest row is the shortest that serves; a FREE one; the longest shorter row.
uint32_t Space::best_block(BlockMode mode, uint32_t count, uint32_t min_count) const noexcept {
    uint32_t bin = lowest_bin(header_, bin_of(mode, count), end_bin(mode));
    if (bin == end_bin(mode)) {
        bin = lowest_bin(header_, kFreeBin, kFirstPageBin);
        if (bin != kFreeBin) {
            bin = highest_bin(header_, first_bin(mode), bin_of(mode, count));
            if (bin >= bin_of(mode, count) || bin < bin_of(mode, min_count)) {
                return kNoBlock;
            }
        }
    }
    const uint32_t b = header_->bin[bin] - 1;
    return b < blocks_ ? b : kNoBlock;
}

Run Space::take(BlockMode mode, uint32_t want_bytes, uint32_t min_bytes) noexcept {
    if (min_bytes > max_run_bytes(mode)) {
        return {};
    }
    const uint32_t want = want_bytes < max_run_bytes(mode) ? want_bytes : max_run_bytes(mode);
    const uint32_t count = grains_for(want < min_bytes ? min_bytes : want, mode);
    const uint32_t block = best_block(mode, count, grains_for(min_bytes, mode));
    return block == kNoBlock ? Run{} : take_from(block, mode, count);
}

Run Space::take_from(uint32_t block, BlockMode mode, uint32_t count) noexcept {
    BlockInfo* i = info(block);
    unlink(block);
    if (static_cast<BlockMode>(i->mode) == BlockMode::kFree) {
        set_mode(block, mode);
    }
    const Rows rows = scan_rows(bits(block), grains_of(mode), count);
    const uint32_t got = rows.fit_count < count ? rows.fit_count : count;
    if (got != 0) {
        set_bits(bits(block), rows.fit_first, got);
    }
    const uint32_t left = rows.fit_count - got;
    i->used = static_cast<uint16_t>(i->used + got);
    i->longest = static_cast<uint16_t>(left > rows.longest ? left : rows.longest);
    link(block);
    header_->used_bytes += got * grain_bytes(mode);
    // A block in a bin has a clear bit, says S2; what lies in the zone may say otherwise. It is in no bin from here on.
    return got == 0 ? Run{}
                    : Run{ref_at(block, rows.fit_first, mode), got * grain_bytes(mode), left * grain_bytes(mode)};
}

Run Space::alloc_run_locked(uint32_t want_bytes, uint32_t min_bytes, Kind kind) noexcept {
    const BlockMode natural = kind == Kind::kPage || (kind == Kind::kAny && want_bytes >= kTailLimitBytes)
                                  ? BlockMode::kPage
                                  : BlockMode::kTail;
    const Run run = take(natural, want_bytes, min_bytes);
    if (run || kind != Kind::kAny) {
        return run;
    }
    return take(natural == BlockMode::kPage ? BlockMode::kTail : BlockMode::kPage, want_bytes, min_bytes);
}

void Space::give_back(const Place& p) noexcept {
    BlockInfo* i = info(p.block);
    BlockBits* b = bits(p.block);
    unlink(p.block);
    clear_bits(b, p.first, p.count);
    i->used = static_cast<uint16_t>(i->used - p.count);
    header_->used_bytes -= p.count * grain_bytes(p.mode);
    if (i->used == 0) {
        set_mode(p.block, BlockMode::kFree);
        i->longest = kUnitsPerBlock;
    } else {
        const uint32_t row = next_set(b, p.first + p.count, grains_of(p.mode)) - clear_row_begin(b, p.first);
        i->longest = row > i->longest ? static_cast<uint16_t>(row) : i->longest;
    }
    link(p.block);
}

void Space::prefetch(uint32_t ref) const noexcept {
    const uint32_t block = (ref - first_ref_) / kUnitsPerBlock;
    if (block < blocks_) {
        __builtin_prefetch(info(block), 1);
        __builtin_prefetch(&bits(block)->word[0], 1);
        __builtin_prefetch(&bits(block)->word[kUnitsPerBlock / 128], 1);
    }
}

bool Space::free_run_locked(uint32_t ref, uint32_t bytes) noexcept {
    Place p;
    if (!locate(ref, bytes, &p) || static_cast<BlockMode>(info(p.block)->mode) != p.mode ||
        !all_set(bits(p.block), p.first, p.count)) {
        return false;
    }
    give_back(p);
    return true;
}

uint32_t Space::shrink_run_locked(uint32_t ref, uint32_t old_bytes, uint32_t new_bytes) noexcept {
    Place p;
    if (new_bytes >= old_bytes || !locate(ref, old_bytes, &p) ||
        static_cast<BlockMode>(info(p.block)->mode) != p.mode || !all_set(bits(p.block), p.first, p.count)) {
        return old_bytes;
    }
    const uint32_t keep = grains_for(new_bytes, p.mode);
    if (keep < p.count) {
        give_back({p.block, p.first + keep, p.count - keep, p.mode});
    }
    return keep * grain_bytes(p.mode);
}

// ---- the valve against calcification ------------------------------------------------------------

bool Space::for_each_run_owner_in_block_locked(uint32_t block, OwnerFn fn, void* context) const noexcept {
    const auto mode = static_cast<BlockMode>(block < blocks_ ? info(block)->mode : 0);
    const uint32_t grains = grains_of(mode);
    for (uint32_t i = 0; mode != BlockMode::kFree && i < grains;) {
        i = next_set(bits(block), i, grains);
        if (i == grains || static_cast<BlockMode>(info(block)->mode) != mode) {
            break;
        }
        const uint32_t ref = ref_at(block, i, mode);
        const auto* run = reinterpret_cast<const RunHeader*>(base_ + uint64_t{ref} * kRefBytes);
        Place p;
        if (run->magic.load_relaxed() != (kRunMagic ^ ref) || !locate(ref, run->len.load_relaxed(), &p) ||
            p.mode != mode || !all_set(bits(block), p.first, p.count)) {
            return false;
        }
        if (!fn(run->owner.load_relaxed(), ref, context)) {
            return false;
        }
        i += p.count;
    }
    return true;
}

bool Space::is_pinned_block(uint32_t block, IsPinnedFn is_pinned, void* context) const noexcept {
    struct Question {
        IsPinnedFn is_pinned;
        void* context;
    } q{is_pinned, context};
    return !for_each_run_owner_in_block_locked(
        block,
        [](uint32_t owner, uint32_t, void* c) {
            const auto* ask = static_cast<const Question*>(c);
            return ask->is_pinned == nullptr || !ask->is_pinned(owner, ask->context);
        },
        &q);
}

uint32_t Space::pick_block_to_clean_locked(uint32_t* random, IsPinnedFn is_pinned, void* context) const noexcept {
    uint32_t block[kCandidates];
    uint32_t fill[kCandidates];  // bytes in use
    uint32_t n = 0;
    for (uint32_t k = 0; k < kCandidates && blocks_ != 0; k++) {
        *random = base::next_random(*random == 0 ? 1 : *random);
        const uint32_t b = base::scale_to(uint64_t{*random} << 32, blocks_);
        const auto mode = static_cast<BlockMode>(info(b)->mode);
        if (mode == BlockMode::kFree) {
            continue;
        }
        const uint32_t f = info(b)->used * grain_bytes(mode);
        uint32_t at = n++;
        for (; at > 0 && fill[at - 1] > f; at--) {  // few enough for insertion sort
            block[at] = block[at - 1];
            fill[at] = fill[at - 1];
        }
        block[at] = b;
        fill[at] = f;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (!is_pinned_block(block[k], is_pinned, context)) {
            return block[k];
        }
    }
    return kNoBlock;
}

}  // namespace slab_cache::shm
