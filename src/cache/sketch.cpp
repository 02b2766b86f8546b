#include "cache/sketch.h"

#include "base/hash.h"

namespace slab_cache::cache {
namespace {

constexpr uint32_t kSamplesPerSec = 256;
constexpr uint32_t kMaxGap = 1 << 16;

uint32_t stamp(uint64_t now_ms) noexcept {
    const auto low = static_cast<uint32_t>(now_ms);
    return low != 0 ? low : 1;
}

// Also what was taken by a process whose clock is a little ahead of ours.
bool is_held(uint32_t seen, uint32_t now) noexcept {
    const uint32_t age = now - seen;
    return seen != 0 && (age < kStaleLockMs || age > UINT32_MAX - kStaleLockMs);
}

bool try_lock(SketchSet* set, uint64_t now_ms) noexcept {
    uint32_t seen = set->lock.load_acquire();  // [sketch-set]
    if (is_held(seen, stamp(now_ms))) {
        return false;
    }
    return set->lock.cas_acq_rel(seen, stamp(now_ms));  // [sketch-set]
}

void unlock(SketchSet* set) noexcept {
    set->lock.store_release(0);  // [sketch-set] the rows before the lock's end
}

SketchSet* set_of(Sketch* sketch, uint64_t fingerprint) noexcept {
    return &sketch->set[base::scale_to(base::mix64(fingerprint), kSketchSets)];
}

SketchRow* find_locked(SketchSet* set, uint64_t fingerprint) noexcept {
    for (SketchRow& row : set->row) {
        if (row.fingerprint == fingerprint) {
            return &row;
        }
    }
    return nullptr;
}

SketchRow* take_lightest_locked(SketchSet* set, const Sample& sample) noexcept {
    SketchRow* lightest = &set->row[0];
    for (SketchRow& row : set->row) {
        if (row.fingerprint == 0) {
            lightest = &row;
            break;
        }
        lightest = row.weight < lightest->weight ? &row : lightest;
    }
    const uint64_t error = lightest->fingerprint != 0 ? lightest->weight : 0;
    const auto size = static_cast<uint16_t>(sample.name.size() < kSketchName ? sample.name.size() : kSketchName);
    *lightest = {};
    lightest->fingerprint = sample.fingerprint;
    lightest->weight = error;
    lightest->error = error;
    lightest->name_bytes = size;
    if (size != 0) {
        std::memcpy(lightest->name, sample.name.data(), size);
    }
    return lightest;
}

// Recent hours count more: once per epoch, whoever comes first halves.
void age(Sketch* sketch, int64_t now_sec, uint64_t now_ms) noexcept {
    const auto now = static_cast<uint32_t>(now_sec / kHalfLifeSec);
    uint32_t seen = sketch->epoch.load_relaxed();  // relaxed: it only says who halves
    // One behind is a worker that has not looked at the clock since; further back, somebody set it.
    if (seen == now || seen == now + 1 || !sketch->epoch.cas_acq_rel(seen, now) || seen == 0 || seen > now) {
        return;
    }
    const uint32_t shift = now - seen < 63 ? now - seen : 63;
    for (SketchSet& set : sketch->set) {
        if (!try_lock(&set, now_ms)) {
            continue;
        }
        for (SketchRow& row : set.row) {
            row.weight >>= shift;
            row.error >>= shift;
            row.count = shift < 32 ? row.count >> shift : 0;
        }
        unlock(&set);
    }
}

void insert_sorted(SketchRow* out, uint32_t* n, uint32_t cap, const SketchRow& row, WeighFn weigh) noexcept {
    uint32_t at = *n;
    while (at > 0 && weigh(out[at - 1]) < weigh(row)) {
        at--;
    }
    if (at >= cap) {
        return;
    }
    *n = *n < cap ? *n + 1 : cap;
    for (uint32_t i = *n - 1; i > at; i--) {
        out[i] = out[i - 1];
    }
    out[at] = row;
}

}  // namespace

void sketch_add(Sketch* sketch, const Sample& sample, int64_t now_sec, uint64_t now_ms) noexcept {
    age(sketch, now_sec, now_ms);
    SketchSet* set = set_of(sketch, sample.fingerprint);
    if (sample.fingerprint == 0 || !try_lock(set, now_ms)) {
        return;
    }
    SketchRow* row = find_locked(set, sample.fingerprint);
    if (row == nullptr) {
        row = take_lightest_locked(set, sample);
    }
    row->weight += sample.weight;
    row->count += sample.count;
    row->note = sample.note;
    row->last_sec = static_cast<uint32_t>(now_sec);
    unlock(set);
}

bool sketch_find(Sketch* sketch, uint64_t fingerprint, uint64_t now_ms, SketchRow* out) noexcept {
    SketchSet* set = set_of(sketch, fingerprint);
    if (fingerprint == 0 || !try_lock(set, now_ms)) {
        return false;
    }
    const SketchRow* row = find_locked(set, fingerprint);
    if (row != nullptr) {
        *out = *row;
    }
    unlock(set);
    return row != nullptr;
}

uint32_t sketch_top(Sketch* sketch, uint64_t now_ms, WeighFn weigh, SketchRow* out, uint32_t cap) noexcept {
    uint32_t n = 0;
    for (SketchSet& set : sketch->set) {
        if (!try_lock(&set, now_ms)) {
            continue;
        }
        for (const SketchRow& row : set.row) {
            if (row.fingerprint != 0) {
                insert_sorted(out, &n, cap, row, weigh);
            }
        }
        unlock(&set);
    }
    return n;
}

uint32_t Sampler::choose(int64_t now_sec) noexcept {
    if (now_sec != second_) {
        second_ = now_sec;
        gap_ = taken_ < kSamplesPerSec / 2 && gap_ > 1 ? gap_ / 2 : gap_;
        taken_ = 0;
    }
    if (++taken_ > kSamplesPerSec) {
        taken_ = 0;
        gap_ = gap_ < kMaxGap ? gap_ * 2 : gap_;
    }
    // A random pause of gap_ - 1 on average: a regular one could fall in step with the traffic.
    random_ = base::next_random(random_);
    left_ = gap_ > 1 ? random_ % (2 * gap_ - 1) : 0;
    return gap_;
}

}  // namespace slab_cache::cache
