#include "shm/marks.h"

#include "base/hash.h"
#include "shm/reclaim.h"
#include "shm/zone_plan.h"

namespace slab_cache::shm {
namespace {

constexpr uint32_t kGroup = 4;
constexpr uint32_t kLongestMarkSec = 600;  // one that seems to last longer: the clock was set back
constexpr uint32_t kLineCells = 31;
constexpr uint32_t kTellEvery = 64;  // uses counted privately before the shared epoch is advanced

Atom<uint64_t>* mark_group(const Context& c, const Digest& d) noexcept {
    const uint32_t i = base::scale_to(base::mix64(d.lo), c.geo.mark_groups);
    return region(c).at<Atom<uint64_t>>(c.geo.marks_offset + uint64_t{i} * kGroup * 8);
}

uint64_t mark_tag(const Digest& d) noexcept { return base::mix64(d.hi) >> 40; }

struct UsesLine {
    Atom<uint16_t> epoch;
    Atom<uint16_t> cell[kLineCells];
};
static_assert(sizeof(UsesLine) == kLineBytes);

// Halves the line once per epoch that has passed.
void age_line(UsesLine* line, uint16_t epoch) noexcept {
    const auto passed = static_cast<uint16_t>(epoch - line->epoch.load_relaxed());
    if (passed == 0) {
        return;
    }
    line->epoch.store_relaxed(epoch);
    const uint32_t shift = passed < 4 ? passed : 4;
    for (Atom<uint16_t>& cell : line->cell) {
        const uint16_t x = cell.load_relaxed();
        const auto n = static_cast<uint16_t>((x & 15) >> shift);
        cell.store_relaxed(n == 0 ? 0 : static_cast<uint16_t>((x & 0xfff0) | n));
    }
}

// Ten times as many misses as the sketch has cells: everything counts half from then on.
uint16_t uses_epoch(const Context& c) noexcept {
    if (c.local != nullptr && ++c.local->uses % kTellEvery == 0) {
        c.zone->uses_seen.add_relaxed(1);
    }
    const uint32_t span = c.geo.uses_lines * kLineCells * 10 / kTellEvery + 1;
    return static_cast<uint16_t>(c.zone->uses_seen.load_relaxed() / span);
}

}  // namespace

void set_mark(const Context& c, const Digest& digest, uint8_t value, int64_t until_sec) noexcept {
    const uint64_t tag = mark_tag(digest);
    const uint64_t word = tag << 40 | uint64_t{value} << 32 | saturate_sec(until_sec);
    Atom<uint64_t>* group = mark_group(c, digest);
    uint32_t victim = kGroup;
    uint64_t soonest = ~uint64_t{0};
    for (uint32_t i = 0; i < kGroup; i++) {
        const uint64_t w = group[i].load_relaxed();
        if (w >> 40 == tag) {
            victim = i;
            break;
        }
        if (value != 0 && (w & 0xffffffffU) < soonest) {
            soonest = w & 0xffffffffU;
            victim = i;
        }
    }
    if (victim < kGroup) {
        group[victim].store_relaxed(value == 0 ? 0 : word);  // relaxed: the word is all there is
    }
}

void prefetch_mark(const Context& c, const Digest& digest) noexcept { __builtin_prefetch(mark_group(c, digest), 1); }

uint8_t get_mark(const Context& c, const Digest& digest, int64_t now_sec) noexcept {
    const uint64_t tag = mark_tag(digest);
    const Atom<uint64_t>* group = mark_group(c, digest);
    for (uint32_t i = 0; i < kGroup; i++) {
        const uint64_t w = group[i].load_relaxed();
        const uint64_t until = w & 0xffffffffU;
        const uint32_t now = saturate_sec(now_sec);
        if (w >> 40 == tag && until > now && until - now <= kLongestMarkSec) {
            return static_cast<uint8_t>(w >> 32);
        }
    }
    return 0;
}

uint32_t count_use(const Context& c, const Digest& digest) noexcept {
    const uint64_t h = base::mix64(digest.lo, digest.hi);
    const uint32_t at = base::scale_to(h, c.geo.uses_lines);
    auto* line = region(c).at<UsesLine>(c.geo.uses_offset + uint64_t{at} * kLineBytes);
    age_line(line, uses_epoch(c));
    const auto tag = static_cast<uint16_t>((h & 0xfff) << 4);
    const auto start = static_cast<uint32_t>(h >> 12 & 0xffff) % kLineCells;
    uint32_t victim = start;
    uint32_t fewest = 16;
    for (uint32_t i = 0; i < 4; i++) {  // four places to be; the least seen gives way
        const uint32_t at_cell = (start + i) % kLineCells;
        const uint16_t x = line->cell[at_cell].load_relaxed();
        const uint32_t n = x & 15U;
        if (n != 0 && (x & 0xfff0) == tag) {
            const uint32_t more = n < kMaxUses ? n + 1 : kMaxUses;
            line->cell[at_cell].store_relaxed(static_cast<uint16_t>(tag | more));
            return more;
        }
        if (n < fewest) {
            fewest = n;
            victim = at_cell;
        }
    }
    line->cell[victim].store_relaxed(static_cast<uint16_t>(tag | 1));
    return 1;
}

}  // namespace slab_cache::shm
