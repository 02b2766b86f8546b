// cache/url_filter.h — of which URLs something may be stored: what else is invalidated need not be remembered.
//
// What        One byte per cell, two cells per selector: the epoch (its low byte) in which it was last listed. Who is about to
//             ask the origin lists the URL before; a walk over the index lists what is stored, once in each epoch, and then the
//             next one begins. What was listed counts for kEpochs, so that it may be missed by one walk. A URL that is not
//             listed is stored nowhere, nor being fetched: only that answer is exact, the other one is a guess.
// Guard       Of a fill that was not listed anew for kEpochs something may have gone unheard: it must not be published
//             (is_current()). Who stores something else (a push, what a POST answers) lists the URL and then looks at what
//             was unheard: invalidations that may have gone by without a record, by hash. After such a note the
//             cells are looked at again.
// Threading   any number of processes; no lock. A slow writer may lower a cell by the epochs it slept through: it finds the
//             epoch moved, and writes again.
// Death       of who walks: the epoch lasts longer.
// Layout      zeroed memory is a filter that says yes to all, until kEpochs have passed. Lies in the store's user area.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/atom.h"

namespace slab_cache::cache {

struct UrlFilterHead {
    base::Atom<uint32_t> epoch;  // kAllListed: for good
    uint32_t pad;
    base::Atom<uint64_t> walked_ms;  // a walk was begun, or went on, then
};
static_assert(sizeof(UrlFilterHead) == 16 && std::is_standard_layout_v<UrlFilterHead>);

struct Unheard {
    base::Atom<uint64_t> seq;  // the purge counter at the last one
    base::Atom<uint32_t> count;
    uint32_t pad;
};
inline constexpr uint32_t kUnheard = 2048;

inline constexpr uint32_t kEpochs = 3;
inline constexpr uint32_t kAllListed = UINT32_MAX;

class UrlFilter {
public:
    UrlFilter() = default;
    // `area`: bytes_for() of them.
    UrlFilter(UrlFilterHead* head, void* area, uint32_t bytes) noexcept
        : head_(head),
          unheard_(static_cast<Unheard*>(area)),
          cells_(reinterpret_cast<base::Atom<uint8_t>*>(unheard_ + kUnheard)),
          count_(bytes > sizeof(Unheard) * kUnheard ? bytes - static_cast<uint32_t>(sizeof(Unheard) * kUnheard) : 0) {}
    static uint32_t bytes_for(uint64_t objects) noexcept;
    explicit operator bool() const noexcept { return count_ != 0; }  // false: it says yes to all

    // The epoch it counts from.
    uint32_t list(uint64_t selector) const noexcept;
    bool is_listed(uint64_t selector) const noexcept;
    uint32_t epoch() const noexcept;
    // What was listed in `epoch` has been listed ever since.
    bool is_current(uint32_t since) const noexcept;
    // All that is stored has been listed since `epoch` was read: the next one begins.
    void end_epoch(uint32_t epoch) const noexcept;
    // A zone that is empty and nobody's yet.
    void begin_empty() const noexcept;
    // Somebody stores who does not list here.
    void list_all() const noexcept;
    bool lists_all() const noexcept { return epoch() == kAllListed; }

    // Of this selector, and some others.
    Unheard* unheard(uint64_t selector) const noexcept;
    // The count before.
    uint32_t add_unheard(uint64_t selector, uint64_t purge_seq) const noexcept;
    bool is_unheard_since(uint64_t selector, uint64_t purge_seq) const noexcept;
    // Since the zone began; it wraps.
    uint32_t unheard_count(uint64_t selector) const noexcept;
    // What goes unheard in `from` from now on is not among them. REQUIRES that this one is nobody's yet, and one secret for both.
    void copy_unheard(const UrlFilter& from) const noexcept;

private:
    UrlFilterHead* head_ = nullptr;
    Unheard* unheard_ = nullptr;
    base::Atom<uint8_t>* cells_ = nullptr;
    uint32_t count_ = 0;
};

}  // namespace slab_cache::cache
