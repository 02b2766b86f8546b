#include "shm/evict_policy.h"

#include "shm/evict.h"

namespace slab_cache::shm {

namespace {

// Integer square root, rounded down; x < 2^50.
uint32_t root_of(uint64_t x) {
    uint64_t r = 0;
    for (uint64_t bit = uint64_t{1} << 24; bit != 0; bit >>= 1) {
        const uint64_t t = r + bit;
        r = t * t <= x ? t : r;
    }
    return static_cast<uint32_t>(r);
}

// uses / size
uint64_t per_byte(uint32_t uses_x2, uint32_t bytes) noexcept {
    return (uint64_t{uses_x2} << 43) / (bytes == 0 ? 1 : bytes);
}

// uses / size^(1/2)
uint64_t per_root(uint32_t uses_x2, uint32_t bytes) noexcept {
    const uint64_t size = bytes == 0 ? 1 : bytes;
    return (uint64_t{uses_x2} << 51) / root_of(size << 16);  // the root has 8 binary places
}

// Two classes to the doubling: within one, order of arrival stands in for order of worth.
uint32_t class_of(uint32_t bytes, bool) noexcept {
    const uint32_t size = bytes < 2 ? 2 : bytes;
    const uint32_t e = 31 - static_cast<uint32_t>(__builtin_clz(size));
    return 2 * e + (size >> (e - 1) & 1);
}

uint32_t small_or_main(uint32_t, bool is_proven) noexcept { return is_proven ? kMainQueue : kSmallQueue; }

bool any_queue(uint32_t) noexcept { return true; }

// S3-FIFO remembers who failed the small queue only.
bool small_queue(uint32_t queue) noexcept { return queue == kSmallQueue; }

}  // namespace

const EvictPolicy* EvictQueues::policies(uint32_t* count) noexcept {
    using Q = EvictQueues;
    static constexpr EvictPolicy kRows[] = {
        {Eviction::kHits, "hits", per_byte, 2, class_of, any_queue, &Q::worth_left, &Q::find_least},
        {Eviction::kBalanced, "balanced", per_root, 1, class_of, any_queue, &Q::worth_left, &Q::find_least},
        {Eviction::kBytes, "bytes", per_byte, 2, small_or_main, small_queue, &Q::place_left, &Q::find_small_or_main},
    };
    *count = sizeof(kRows) / sizeof(kRows[0]);
    return kRows;
}

const EvictPolicy& EvictQueues::policy_of(Eviction id) noexcept {
    uint32_t count;
    const EvictPolicy* row = policies(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (row[i].id == id) {
            return row[i];
        }
    }
    return row[0];  // a zone that says nonsense is never attached (zone.cpp)
}

bool parse_eviction(std::string_view word, Eviction* out) noexcept {
    uint32_t count;
    const EvictPolicy* row = EvictQueues::policies(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (row[i].word == word) {
            *out = row[i].id;
            return true;
        }
    }
    return false;
}

std::string_view eviction_word(uint32_t row) noexcept {
    uint32_t count;
    const EvictPolicy* rows = EvictQueues::policies(&count);
    return row < count ? rows[row].word : std::string_view{};
}

}  // namespace slab_cache::shm
