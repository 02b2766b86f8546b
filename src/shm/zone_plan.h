// shm/zone_plan.h — where everything is: sizes of the tables for a zone size, and typed access to them.
//
// Threading   the plan and all offsets are immutable after create(); access functions only compute addresses.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "shm/layout.h"
#include "shm/offset.h"
#include "shm/context.h"

namespace slab_cache::shm {

// Fills a header (offsets, table sizes; no contents) and one Shard as the pattern of all shards.
// False when fewer than kMinBlocks blocks per shard would remain.
inline constexpr uint32_t kMinBlocks = 8;
bool plan_zone(uint64_t zone_bytes, uint32_t reserved, const Config& config, ZoneHeader* header,
               Shard* shards) noexcept;

uint32_t zone_fingerprint() noexcept;

// Whether an existing header is of this build, this size and this configuration; where it is, *geo is what was worked out.
bool zone_matches(const ZoneHeader& z, uint64_t zone_bytes, uint32_t reserved, const Config& config,
                  Geometry* geo) noexcept;

inline Region region(const Context& c) noexcept { return {c.base, c.bytes}; }

inline Shard* shard_at(const Context& c, uint32_t i) noexcept {
    return region(c).at<Shard>(c.geo.shards_offset + i * c.geo.shard_stride);
}
inline Shard* shard_of(const Context& c, const Digest& d) noexcept {
    return shard_at(c, base::scale_to(d.hi, c.geo.shard_count));
}

inline WorkerRecord* worker_record(const Context& c, uint32_t i) noexcept {
    return region(c).at<WorkerRecord>(c.geo.workers_offset + uint64_t{i} * c.geo.worker_bytes);
}
inline Atom<uint32_t>* unfinished_cells(const Context&, WorkerRecord* w) noexcept {
    return reinterpret_cast<Atom<uint32_t>*>(w + 1);
}
inline Atom<uint32_t>* slot_cells(const Context& c, WorkerRecord* w) noexcept {
    return unfinished_cells(c, w) + c.geo.unfinished_per_worker;
}

inline uint64_t offset_of(const Context& c, const Shard& s) noexcept {
    return static_cast<uint64_t>(reinterpret_cast<const char*>(&s) - c.base);
}
// Of a shard that shard_at() gave. What the shard says of itself is not asked.
inline uint32_t index_of(const Context& c, const Shard& s) noexcept {
    __extension__ using Wide = unsigned __int128;
    return static_cast<uint32_t>(Wide{offset_of(c, s) - c.geo.shards_offset} * c.geo.shard_inverse >> 64);
}
template <class T>
T* table_of(const Shard& s, uint64_t at) noexcept {
    return reinterpret_cast<T*>(reinterpret_cast<char*>(const_cast<Shard*>(&s)) + at);
}
inline uint64_t blocks_offset(const Context& c, const Shard& s) noexcept {
    return c.geo.blocks_offset + uint64_t{index_of(c, s)} * c.geo.block_count * kBlockBytes;
}

// Blocks of a shard as refs: [first_ref, first_ref + Geometry::shard_refs).
inline uint32_t first_ref(const Context& c, const Shard& s) noexcept {
    return c.geo.first_ref + index_of(c, s) * c.geo.shard_refs;
}
inline bool owns(const Context& c, const Shard& s, uint32_t ref) noexcept {
    return ref - first_ref(c, s) < c.geo.shard_refs;
}
inline bool is_in_blocks(const Context& c, uint32_t ref) noexcept {  // of any shard
    return ref - c.geo.first_ref < c.geo.all_refs;
}
inline uint64_t capacity(const Context& c) noexcept {  // of each shard
    return uint64_t{c.geo.block_count} * kBlockBytes;
}

// The shard whose blocks hold `ref`; null for nonsense.
Shard* shard_of_ref(const Context& c, uint32_t ref) noexcept;

}  // namespace slab_cache::shm
