// cache/push_times.h — when a URL was pushed last: of what was asked for before, nothing may be stored or joined after.
//
// What        A push takes the place of what is stored, and the store keeps what was asked for before it from taking its
//             place. Once the pushed object is gone (evicted, say) that is forgotten, and a slow fill would bring back
//             what the push replaced. So each push notes its birth here, by hash of its URL.
// Errors      URLs of one cell share the newest push: a fill is not stored for another URL's push. That is a miss.
// Threading   any number of processes; no lock. A cell only rises.
// Layout      zeroed memory: nothing was pushed. Lies in the store's user area.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/atom.h"
#include "base/hash.h"

namespace slab_cache::cache {

inline constexpr uint32_t kPushCells = 2048;

struct PushTimes {
    base::Atom<uint64_t> birth[kPushCells];
};
static_assert(std::is_standard_layout_v<PushTimes>);

inline void note_push(PushTimes* times, uint64_t url_selector, uint64_t birth) noexcept {
    base::Atom<uint64_t>& cell = times->birth[base::scale_to(base::mix64(url_selector), kPushCells)];
    uint64_t seen = cell.load_seq_cst();                      // [push-time]
    while (seen < birth && !cell.cas_seq_cst(seen, birth)) {  // [push-time]
    }
}

// There was a push of the URL, or of another one of its cell, that is younger than what was asked for at `asked`.
inline bool is_pushed_since(const PushTimes& times, uint64_t url_selector, uint64_t asked) noexcept {
    return times.birth[base::scale_to(base::mix64(url_selector), kPushCells)].load_seq_cst() > asked;  // [push-time]
}

}  // namespace slab_cache::cache
