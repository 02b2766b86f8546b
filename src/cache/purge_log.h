// cache/purge_log.h — the last purges of a zone, for people: what, when, from whom, how.
//
// What        The last kLoggedPurges of them. What an unsafe request invalidates is none: visitors would push the operator's out.
// Threading   any number of processes, no lock. Two that write one row at once lose it (sealed_row.h).
// Layout      zeroed memory: there was none. Lies in the store's user area.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/atom.h"
#include "base/bytes.h"
#include "cache/purge_batch.h"
#include "cache/sealed_row.h"

namespace slab_cache::cache {

inline constexpr uint32_t kLoggedPurges = 32;
inline constexpr uint32_t kPurgeRowWords = 63;
inline constexpr uint32_t kPurgeRowHead = 5;  // words; text is behind them
inline constexpr uint32_t kPurgeRowText = (kPurgeRowWords - kPurgeRowHead) * 8;

struct PurgeLog {
    base::Atom<uint64_t> count;  // purges ever logged
    uint64_t unused[7];
    SealedRow<kPurgeRowWords> row[kLoggedPurges];
};
static_assert(std::is_standard_layout_v<PurgeLog> && sizeof(PurgeLog) == 64 + 512 * kLoggedPurges);

enum class PurgeRoad : uint8_t { kMethod, kApi, kFleet };

// Who asked for a purge, and how.
struct Purger {
    PurgeRoad road;
    bool is_signed;
    Bytes address;  // empty: not known
};

struct LoggedPurge {
    uint64_t number;  // the newest has the highest
    int64_t at_sec;
    uint64_t seq;
    uint32_t accepted;  // things named
    bool all;
    bool soft;
    Purger by;
    Understood first;  // of what was named, unless `all`
    bool is_cut;       // its text does not fit
    char text[kPurgeRowText];
};

void log_purge(PurgeLog* log, const Selection& s, uint64_t seq, const Purger& by, int64_t now_sec) noexcept;

// The `cap` newest, newest first. Their number. Their texts are their own: not to be copied.
uint32_t last_purges(const PurgeLog& log, LoggedPurge* out, uint32_t cap) noexcept;

// For a zone that takes another's place: fills an empty log.
void copy_purge_log(const PurgeLog& from, PurgeLog* to) noexcept;

}  // namespace slab_cache::cache
