// shm/zone.h — where everything is: sizes of the tables for a zone size, and typed access to them.
//
// Threading   the plan and all offsets are immutable after create(); access functions only compute addresses.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "shm/layout.h"
#include "shm/offset.h"
#include "shm/store.h"

namespace slab_cache::shm {

// Fills a header (offsets, table sizes; no contents) and one Shard as the pattern of all shards.
// False when fewer than kMinBlocks blocks per shard would remain.
inline constexpr uint32_t kMinBlocks = 8;
bool plan_zone(uint64_t zone_bytes, uint32_t reserved, const Config& config, ZoneHeader* header,
               Shard* shards) noexcept;

uint32_t zone_fingerprint() noexcept;

// Whether an existing header is of this build, this size and this configuration.
bool zone_matches(const ZoneHeader& z, uint64_t zone_bytes, uint32_t reserved,
                  const Config& config) noexcept;

inline Region region(const Context& c) noexcept {
    return {c.base, c.bytes};
}

inline Shard* shard_at(const Context& c, uint32_t i) noexcept {
    return region(c).at<Shard>(c.zone->shard_offset[i]);
}
inline Shard* shard_of(const Context& c, const Digest& d) noexcept {
    return shard_at(c, base::scale_to(d.hi, c.zone->shard_count));
}

inline WorkerRecord* worker_record(const Context& c, uint32_t i) noexcept {
    return region(c).at<WorkerRecord>(c.zone->workers_offset + uint64_t{i} * c.zone->worker_bytes);
}
inline Atom<uint32_t>* fill_cells(const Context&, WorkerRecord* w) noexcept {
    return reinterpret_cast<Atom<uint32_t>*>(w + 1);
}
inline Atom<uint32_t>* slot_cells(const Context& c, WorkerRecord* w) noexcept {
    return fill_cells(c, w) + c.zone->fills_per_worker;
}

// Blocks of a shard as refs: [first_ref, end_ref).
inline uint32_t first_ref(const Shard& s) noexcept {
    return static_cast<uint32_t>(s.blocks_offset / kRefBytes);
}
inline uint32_t end_ref(const Shard& s) noexcept {
    return first_ref(s) + s.block_count * (kBlockBytes / kRefBytes);
}
inline bool owns(const Shard& s, uint32_t ref) noexcept {
    return ref >= first_ref(s) && ref < end_ref(s);
}
inline uint64_t capacity(const Shard& s) noexcept {
    return uint64_t{s.block_count} * kBlockBytes;
}

// The shard whose blocks hold `ref`; null for nonsense.
Shard* shard_of_ref(const Context& c, uint32_t ref) noexcept;

}  // namespace slab_cache::shm
