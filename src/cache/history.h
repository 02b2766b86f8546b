// cache/history.h — an hour of a zone's counters, for plots: a row a minute, as they stood then.
//
// What        Rows of the last kHistoryRows minutes. Counters only grow: who wants what happened between two rows subtracts. A
//             minute of which there is no row (nobody ran, or who was to write it died) is part of the step behind it.
// Threading   any number of processes, no lock. Of those that look in a minute, one writes its row; see sealed_row.h for two.
// Death       the minute's row is lost. Nothing waits for it.
// Clock       seconds that nobody sets back (ngx/zone/zone.h, now_sec()).
// Layout      zeroed memory: there is none. Lies in the store's user area.
// Invariant   what is read is of the last hour, each minute once, in order; whatever lies in the memory.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/atom.h"
#include "cache/sealed_row.h"

namespace slab_cache::cache {

inline constexpr uint32_t kHistoryRows = 64;
inline constexpr int64_t kHistorySec = 60;

enum class Past : uint32_t {
    kRequests,  // all, these among them:
    kHits,
    kStale,
    kFills,
    kFillsFailed,
    kEvicted,
    kPurges,
    kBytesFromCache,
    kBytesFromOrigin,
    kSent5xx,
    kEnd
};
inline constexpr uint32_t kPastFigures = static_cast<uint32_t>(Past::kEnd);

struct PastRow {
    int64_t at_sec = 0;
    uint64_t figure[kPastFigures] = {};

    uint64_t& operator[](Past p) noexcept { return figure[static_cast<uint32_t>(p)]; }
    uint64_t operator[](Past p) const noexcept { return figure[static_cast<uint32_t>(p)]; }
};

struct History {
    base::Atom<uint64_t> claimed;  // the last minute that somebody is writing, or has written; 0: none
    uint64_t unused[7];
    SealedRow<1 + kPastFigures> row[kHistoryRows];
};
static_assert(std::is_standard_layout_v<History> && sizeof(History) == 64 + 96 * kHistoryRows);

// True for one caller a minute, who is to call write_past() with what he counts then. REQUIRES now_sec >= 0.
bool claim_past(History* history, int64_t now_sec) noexcept;
void write_past(History* history, const PastRow& row) noexcept;

// The rows there are, oldest first. `out`: of kHistoryRows. Their number.
uint32_t read_past(const History& history, int64_t now_sec, PastRow* out) noexcept;

// For a zone that takes another's place: fills an empty history. Its counters begin anew behind these rows.
void copy_past(const History& from, History* to) noexcept;

}  // namespace slab_cache::cache
