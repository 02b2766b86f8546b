// cache/sketch.h — heavy hitters in bounded memory, shared by all workers: which routes cost or save most.
//
// What        Space-saving by sets: a name's fingerprint picks a set of eight rows; where all are taken, the row of the smallest
//             weight goes and its weight becomes the newcomer's `error`. A row overestimates by at most its error, and a
//             name heavier than its set's smallest row is never missing. Weights are halved every kHalfLifeSec.
// Threading   any number of processes. A set is guarded by a lock that is only ever tried: who does not get it drops the
//             sample, so nobody waits for anybody.
// Death       a lock is the millisecond at which it was taken; older than kStaleLockMs it is taken over. What a dead or stopped
//             owner left half-written is a wrong number or name in a statistic, nothing else: readers check lengths.
// Layout      zeroed memory is an empty sketch. Lies in the store's user area (ngx/zone/user_area.h).
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/atom.h"
#include "base/bytes.h"

namespace slab_cache::cache {

using base::Bytes;

inline constexpr uint32_t kSketchSets = 64;
inline constexpr uint32_t kSketchWays = 8;
inline constexpr uint32_t kSketchRows = kSketchSets * kSketchWays;
inline constexpr uint32_t kSketchName = 152;
inline constexpr int64_t kHalfLifeSec = 3600;
inline constexpr uint32_t kStaleLockMs = 1000;

struct SketchRow {
    uint64_t fingerprint;  // 0: empty
    uint64_t weight;       // microseconds
    uint64_t error;        // of the weight
    uint32_t count;        // requests
    uint32_t last_sec;     // wall clock
    uint16_t note;         // the caller's: the last reason
    uint16_t name_bytes;
    uint32_t pad;
    char name[kSketchName];

    Bytes text() const noexcept { return {name, name_bytes < kSketchName ? name_bytes : kSketchName}; }
};
static_assert(sizeof(SketchRow) == 192 && std::is_trivially_copyable_v<SketchRow>);

struct SketchSet {
    base::Atom<uint32_t> lock;  // 0 free, else the millisecond it was taken
    uint32_t pad[15];
    SketchRow row[kSketchWays];
};

struct Sketch {
    base::Atom<uint32_t> epoch;  // of kHalfLifeSec, since 1970
    uint32_t pad[15];
    SketchSet set[kSketchSets];
};
static_assert(std::is_standard_layout_v<Sketch>);

struct Sample {
    uint64_t fingerprint;  // keyed hash of the name
    Bytes name;            // cut at kSketchName
    uint64_t weight;
    uint32_t count;
    uint16_t note;
};

void sketch_add(Sketch* sketch, const Sample& sample, int64_t now_sec, uint64_t now_ms) noexcept;

// The row of that fingerprint; false where there is none, or its set is busy.
bool sketch_find(Sketch* sketch, uint64_t fingerprint, uint64_t now_ms, SketchRow* out) noexcept;

// The `cap` rows that `weigh` makes heaviest, heaviest first. Returns their number.
using WeighFn = uint64_t (*)(const SketchRow& row);
uint32_t sketch_top(Sketch* sketch, uint64_t now_ms, WeighFn weigh, SketchRow* out, uint32_t cap) noexcept;

// Which of many events to look at: all of them while they are few, one in `gap` when they are many. Private to a worker.
class Sampler {
public:
    // 0: not this one. Else how many events it stands for.
    uint32_t take(int64_t now_sec) noexcept {
        if (left_ != 0) {
            left_--;
            return 0;
        }
        return choose(now_sec);
    }

private:
    uint32_t choose(int64_t now_sec) noexcept;

    uint32_t left_ = 0;
    uint32_t gap_ = 1;
    uint32_t taken_ = 0;
    uint32_t random_ = 0x9E3779B9;
    int64_t second_ = 0;
};

}  // namespace slab_cache::cache
