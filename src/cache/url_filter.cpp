#include "cache/url_filter.h"

#include "base/hash.h"

namespace slab_cache::cache {
namespace {

constexpr uint64_t kCellsPerObject = 16;
constexpr uint64_t kLeastCells = 4096;
constexpr uint64_t kMostCells = uint64_t{1} << 30;

using Cell = base::Atom<uint8_t>;

struct Pair {
    uint32_t at[2];
};

Pair cells_of(uint64_t selector, uint32_t count) noexcept {
    const uint64_t h = base::mix64(selector);
    return {{base::scale_to(h, count), base::scale_to(base::mix64(h ^ selector), count)}};
}

// How many epochs ago; those to come, of a writer that is ahead of us, are none.
uint32_t age(uint8_t cell, uint32_t epoch) noexcept {
    const uint8_t behind = static_cast<uint8_t>(epoch - cell);
    return behind > UINT8_MAX - kEpochs ? 0 : behind;
}

void raise(Cell* cell, uint32_t epoch) noexcept {
    uint8_t seen = cell->load_seq_cst();                                                      // [url-filter]
    while (age(seen, epoch) != 0 && !cell->cas_seq_cst(seen, static_cast<uint8_t>(epoch))) {  // [url-filter]
    }
}

}  // namespace

uint32_t UrlFilter::bytes_for(uint64_t objects) noexcept {
    const uint64_t least = objects < kMostCells / kCellsPerObject ? objects * kCellsPerObject : kMostCells;
    const uint64_t cells = least < kLeastCells ? kLeastCells : least;
    return static_cast<uint32_t>(sizeof(Unheard) * kUnheard + (cells + 63) / 64 * 64);
}

uint32_t UrlFilter::list(uint64_t selector) const noexcept {
    const Pair pair = cells_of(selector, count_);
    for (uint32_t e = epoch();;) {
        if (e == kAllListed) {
            return e;
        }
        raise(&cells_[pair.at[0]], e);
        raise(&cells_[pair.at[1]], e);
        const uint32_t now = epoch();
        if (now == e) {
            return e;
        }
        e = now;
    }
}

// The epoch before and after: cells that are looked at across its change may be judged by the wrong one.
bool UrlFilter::is_listed(uint64_t selector) const noexcept {
    const Pair pair = cells_of(selector, count_);
    for (uint32_t e = epoch();;) {
        const bool listed =
            e == kAllListed || (age(cells_[pair.at[0]].load_seq_cst(), e) < kEpochs       // [url-filter]
                                && age(cells_[pair.at[1]].load_seq_cst(), e) < kEpochs);  // [url-filter]
        const uint32_t now = epoch();
        if (now == e) {
            return listed;
        }
        e = now;
    }
}

uint32_t UrlFilter::epoch() const noexcept {
    return head_->epoch.load_seq_cst();  // [url-filter]
}

bool UrlFilter::is_current(uint32_t since) const noexcept {
    const uint32_t now = epoch();
    return now == kAllListed || now - since < kEpochs;
}

void UrlFilter::end_epoch(uint32_t epoch) const noexcept {
    if (epoch < kAllListed - 1) {
        (void) head_->epoch.cas_seq_cst(epoch, epoch + 1);  // [url-filter]
    }
}

void UrlFilter::begin_empty() const noexcept {
    head_->epoch.store_seq_cst(kEpochs);  // [url-filter]
}

void UrlFilter::list_all() const noexcept {
    head_->epoch.store_seq_cst(kAllListed);  // [url-filter]
}

Unheard* UrlFilter::unheard(uint64_t selector) const noexcept {
    return &unheard_[base::scale_to(base::mix64(selector), kUnheard)];
}

uint32_t UrlFilter::add_unheard(uint64_t selector, uint64_t purge_seq) const noexcept {
    Unheard* u = unheard(selector);
    uint64_t seen = u->seq.load_seq_cst();                              // [url-unheard]
    while (seen < purge_seq && !u->seq.cas_seq_cst(seen, purge_seq)) {  // [url-unheard]
    }
    return u->count.add_seq_cst(1);  // [url-unheard]
}

bool UrlFilter::is_unheard_since(uint64_t selector, uint64_t purge_seq) const noexcept {
    return unheard(selector)->seq.load_seq_cst() >= purge_seq;  // [url-unheard]
}

uint32_t UrlFilter::unheard_count(uint64_t selector) const noexcept {
    return unheard(selector)->count.load_seq_cst();  // [url-unheard]
}

void UrlFilter::copy_unheard(const UrlFilter& from) const noexcept {
    for (uint32_t i = 0; i < kUnheard; i++) {
        unheard_[i].seq.store_seq_cst(from.unheard_[i].seq.load_seq_cst());  // [url-unheard]
    }
}

}  // namespace slab_cache::cache
