// ngx/tier/tier_figures.h — what a tier counts, in memory that all workers share. One word for each in metrics, API and README.
//
// Cost        one relaxed addition, on the way of a miss alone.
#pragma once

#include "ngx/glue/ngx.h"

#include "base/atom.h"

namespace slab_cache::ngx {

// Why the store did not answer a request. Words: tier_miss_word().
enum class TierMiss : uint8_t {
    kAbsent,
    kStale,        // its lifetime is over
    kPurged,       // a purge came since it was made
    kNonsense,     // no HTTP message
    kForeign,      // of another key, or another location
    kRefused,      // the rules would not store it
    kTooLarge,     // above max_object=
    kNoSpace,      // the zone took it not
    kWaited,       // another machine asked the origin for longer than lease=
    kTimeout,      // no answer within timeout=
    kUnreachable,  // no connection
    kCircuit,      // it was not asked: the circuit is open
    kError,        // it answered with an error
    kEnd
};
inline constexpr uint32_t kTierMisses = static_cast<uint32_t>(TierMiss::kEnd);
const char* tier_miss_word(TierMiss miss) noexcept;  // upper case, as $slab_cache_tier has it

enum class TierFigure : uint8_t {
    kHits,
    kWrites,
    kDeletes,
    kTooLarge,
    kLeasesWon,
    kLeasesLost,
    kLeasesWaited,
    kErrors,
    kTimeouts,
    kCircuits,
    kConnects,
    kEnd
};
inline constexpr uint32_t kTierFigures = static_cast<uint32_t>(TierFigure::kEnd);

struct TierFigureRow {
    const char* name;
    const char* help;
};
extern const TierFigureRow kTierFigureRows[kTierFigures];

struct TierArea {
    base::Atom<uint64_t> figure[kTierFigures];
    base::Atom<uint64_t> miss[kTierMisses];
    base::Atom<uint64_t> open_until_ms;  // some worker's circuit is open, as far as was seen lately
};

inline bool is_circuit_open(const TierArea& area, uint64_t now_ms) noexcept {
    return now_ms < area.open_until_ms.load_relaxed();
}
inline void count(TierArea* area, TierFigure figure) noexcept {
    (void) area->figure[static_cast<uint32_t>(figure)].add_relaxed(1);
}
inline void count(TierArea* area, TierMiss miss) noexcept {
    (void) area->miss[static_cast<uint32_t>(miss)].add_relaxed(1);
}

}  // namespace slab_cache::ngx
