#include "cache/history.h"

namespace slab_cache::cache {
namespace {

using Words = uint64_t[1 + kPastFigures];

uint64_t minute_of(int64_t sec) noexcept { return static_cast<uint64_t>(sec) / kHistorySec; }

}  // namespace

bool claim_past(History* history, int64_t now_sec) noexcept {
    const uint64_t minute = minute_of(now_sec);
    uint64_t claimed = history->claimed.load_acquire();  // [past-claim]
    // One ahead: of a process whose clock was read a moment later. Further ahead: nonsense, that must not end the history.
    if (claimed == minute || claimed == minute + 1) {
        return false;
    }
    return history->claimed.cas_acq_rel(claimed, minute);  // [past-claim]
}

void write_past(History* history, const PastRow& row) noexcept {
    Words words;
    words[0] = static_cast<uint64_t>(row.at_sec);
    for (uint32_t i = 0; i < kPastFigures; i++) {
        words[1 + i] = row.figure[i];
    }
    history->row[minute_of(row.at_sec) % kHistoryRows].write(words);
}

uint32_t read_past(const History& history, int64_t now_sec, PastRow* out) noexcept {
    const uint64_t now = minute_of(now_sec);
    uint32_t count = 0;
    for (uint64_t minute = now < kHistoryRows ? 0 : now - kHistoryRows + 1; minute <= now; minute++) {
        Words words;
        if (!history.row[minute % kHistoryRows].read(&words) || words[0] / kHistorySec != minute) {
            continue;
        }
        PastRow* row = &out[count++];
        row->at_sec = static_cast<int64_t>(words[0]);
        for (uint32_t i = 0; i < kPastFigures; i++) {
            row->figure[i] = words[1 + i];
        }
    }
    return count;
}

void copy_past(const History& from, History* to) noexcept {
    to->claimed.store_release(from.claimed.load_acquire());  // [past-claim]
    for (uint32_t i = 0; i < kHistoryRows; i++) {
        Words words;
        if (from.row[i].read(&words)) {
            to->row[i].write(words);
        }
    }
}

}  // namespace slab_cache::cache
