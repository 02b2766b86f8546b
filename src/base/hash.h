// base/hash.h — mixing of 64-bit words, for tables whose keys are already keyed hashes.
//
// Not a defence by itself: digests arrive keyed with the zone's secret, so these need only spread bits.
#pragma once

#include <cstdint>

namespace slab_cache::base {

// A bijection of 64-bit words (the finaliser with the constants of splitmix64).
constexpr uint64_t mix64(uint64_t x) noexcept {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

constexpr uint64_t mix64(uint64_t a, uint64_t b) noexcept { return mix64(mix64(a) ^ b); }

// Maps a uniform 64-bit word to 0 … n-1 without division; n = 0 gives 0.
constexpr uint32_t scale_to(uint64_t x, uint32_t n) noexcept { return static_cast<uint32_t>(((x >> 32) * n) >> 32); }

// The next state of a small generator (never 0 from a non-zero state); for choices, not for secrets.
constexpr uint32_t next_random(uint32_t x) noexcept {
    x ^= x << 13;
    x ^= x >> 17;
    return x ^ (x << 5);
}

}  // namespace slab_cache::base
