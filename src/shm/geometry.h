// shm/geometry.h — where everything is, as this process worked it out at create() or attach(), in memory of its own.
//
// What        A zone in a file can be written to by anybody with the right to; a stray write may hit any. What tells a valid
//             address from another is therefore never read from the zone: not its header, not its shards.
// Threading   immutable after create() or attach(), but for the secret, which succeed() takes over.
// Units       _offset: bytes from the zone's start; _at: bytes from a shard's start. All shards are of one shape.
#pragma once

#include <cstdint>

namespace slab_cache::shm {

struct ZoneHeader;
struct Shard;

struct Geometry {
    uint64_t shards_offset = 0;
    uint64_t shard_inverse =
        0;  // 2^64 / bytes of a shard's tables, rounded up: a multiplication tells which shard it is
    uint64_t shard_stride = 0;  // these bytes
    uint64_t buckets_at = 0, overflow_at = 0, evict_at = 0, space_at = 0;
    uint32_t bucket_count = 0, overflow_count = 0, block_count = 0;
    uint32_t first_ref = 0;   // of shard 0
    uint32_t shard_refs = 0;  // in one shard's blocks
    uint32_t all_refs = 0;    // in all of them
    uint32_t shard_count = 0;
    uint64_t evict_bytes = 0;
    uint64_t blocks_offset = 0;  // of shard 0
    uint64_t user_offset = 0, workers_offset = 0, leases_offset = 0, purges_offset = 0, marks_offset = 0,
             uses_offset = 0;
    uint32_t worker_count = 0, worker_bytes = 0, slots_per_worker = 0, unfinished_per_worker = 0;
    uint32_t lease_sets = 0, purge_sets = 0, mark_groups = 0, uses_lines = 0;
    uint32_t eviction = 0;
    uint64_t max_object = 0, overhead_bytes = 0;
    uint64_t zone_id = 0;
    uint8_t secret[192] = {};
};

// Of a plan (plan_zone) and its first shard; header and shards in the zone do where nobody else can have written to them.
Geometry geometry_of(const ZoneHeader& plan, const Shard& first) noexcept;

}  // namespace slab_cache::shm
