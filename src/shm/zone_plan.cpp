#include "shm/zone_plan.h"

#include "shm/evict.h"
#include "shm/space.h"
#include "shm/store.h"

namespace slab_cache::shm {
namespace {

constexpr uint64_t kMiB = 1024 * 1024;

constexpr uint64_t clamp(uint64_t x, uint64_t lo, uint64_t hi) noexcept { return x < lo ? lo : x > hi ? hi : x; }
constexpr uint64_t round_up(uint64_t x, uint64_t to) noexcept { return (x + to - 1) / to * to; }

uint64_t object_count(uint64_t zone_bytes, const Config& config) noexcept {
    const uint64_t n = config.objects != 0 ? config.objects : zone_bytes / 4096;
    return clamp(n, 64, zone_bytes / 256);
}

// Tables whose sizes follow the zone's, so that a zone of one megabyte works and one of a terabyte scales.
void size_tables(uint64_t bytes, const Config& config, ZoneHeader* z) noexcept {
    uint32_t slots = 64;
    while (slots < 1024 && uint64_t{slots} * 2 * 16384 <= bytes) {
        slots *= 2;
    }
    z->slots_per_worker = slots;
    z->unfinished_per_worker = static_cast<uint32_t>(clamp(slots / 4, 32, 256));
    z->worker_bytes =
        static_cast<uint32_t>(sizeof(WorkerRecord) + round_up(z->unfinished_per_worker * 4, kLineBytes) + slots * 4);
    z->worker_count = static_cast<uint32_t>(clamp(uint64_t{config.workers} * 4 + 16, 64, kMaxWorkers));
    z->lease_sets = static_cast<uint32_t>(clamp(bytes / kMiB, 4, 1024));
    const uint64_t records =
        config.purge_records != 0 ? clamp(config.purge_records, 7, bytes / 64) : clamp(bytes / 8192, 896, 1 << 20);
    z->purge_sets = static_cast<uint32_t>((records + PurgeSet::kRecords - 1) / PurgeSet::kRecords);
    z->mark_groups = static_cast<uint32_t>(clamp(bytes / (128 * 1024), 32, 1 << 16));
    z->uses_lines = static_cast<uint32_t>(object_count(bytes, config) / 31 + 1);
}

// Places the zone-wide tables one after the other; returns where the shards begin.
uint64_t place_tables(uint32_t reserved, const Config& config, ZoneHeader* z) noexcept {
    uint64_t at = round_up(reserved, kLineBytes) + sizeof(ZoneHeader);
    const auto place = [&at](uint64_t bytes) {
        const uint64_t here = at;
        at = round_up(at + bytes, kLineBytes);
        return here;
    };
    z->user_offset = place(config.user_bytes);
    z->workers_offset = place(uint64_t{z->worker_count} * z->worker_bytes);
    z->leases_offset = place(uint64_t{z->lease_sets} * sizeof(LeaseSet));
    z->purges_offset = place(uint64_t{z->purge_sets} * 2 * sizeof(PurgeSet));
    z->marks_offset = place(uint64_t{z->mark_groups} * 32);
    z->uses_offset = place(uint64_t{z->uses_lines} * kLineBytes);
    return at;
}

// Places one shard's tables; returns the offset behind them.
uint64_t place_shard(uint64_t at, uint64_t objects, uint32_t blocks, Shard* s) noexcept {
    s->bucket_count = static_cast<uint32_t>(objects * 2 / 9 + 1);  // 64 % of the slots at `objects`
    s->overflow_count = s->bucket_count / 4 + 1;  // twice what must be full: each leaves its chain late
    s->block_count = blocks;
    at += sizeof(Shard);
    s->buckets_offset = at;
    at += uint64_t{s->bucket_count} * sizeof(Bucket);
    s->overflow_offset = at;
    at += uint64_t{s->overflow_count} * sizeof(Bucket);
    s->evict_offset = at;
    s->evict_bytes = round_up(EvictQueues::metadata_bytes(objects), kLineBytes);
    at += s->evict_bytes;
    s->space_offset = at;
    s->space_bytes = round_up(Space::metadata_bytes(blocks), kLineBytes);
    return at + s->space_bytes;
}

// All shards with `blocks` blocks each; returns the zone bytes needed.
uint64_t place_shards(uint64_t at, uint64_t objects, uint32_t blocks, ZoneHeader* z, Shard* shards) noexcept {
    for (uint32_t i = 0; i < z->shard_count; i++) {
        z->shard_offset[i] = at;
        at = place_shard(at, objects / z->shard_count + 1, blocks, &shards[i]);
        shards[i].index = i;
    }
    at = round_up(at, 4096);
    z->overhead_bytes = at;
    for (uint32_t i = 0; i < z->shard_count; i++) {
        shards[i].blocks_offset = at;
        at += uint64_t{blocks} * kBlockBytes;
    }
    return at;
}

bool shard_matches(const Shard& s, const Shard& want) noexcept {
    return s.buckets_offset == want.buckets_offset && s.overflow_offset == want.overflow_offset &&
           s.evict_offset == want.evict_offset && s.space_offset == want.space_offset &&
           s.blocks_offset == want.blocks_offset && s.evict_bytes == want.evict_bytes &&
           s.space_bytes == want.space_bytes && s.bucket_count == want.bucket_count &&
           s.overflow_count == want.overflow_count && s.block_count == want.block_count && s.index == want.index;
}

}  // namespace

bool plan_zone(uint64_t bytes, uint32_t reserved, const Config& config, ZoneHeader* z, Shard* shards) noexcept {
    // What a ref reaches, less a block: the ref behind the last one is still a 32-bit number.
    const uint64_t reach = (uint64_t{1} << 38) - kBlockBytes;
    const uint64_t usable = bytes < reach ? bytes : reach;
    z->shard_count = usable < 64 * kMiB ? 1 : static_cast<uint32_t>(clamp(usable / (64 * kMiB), 1, kMaxShards));
    size_tables(usable, config, z);
    const uint64_t start = place_tables(reserved, config, z);
    if (start >= usable) {
        return false;
    }
    uint64_t blocks = (usable - start) / z->shard_count / kBlockBytes;
    const uint64_t objects = object_count(usable, config);
    while (blocks >= kMinBlocks && place_shards(start, objects, static_cast<uint32_t>(blocks), z, shards) > usable) {
        const uint64_t step = blocks / 1024;
        blocks -= step > 0 ? step : 1;
    }
    if (blocks < kMinBlocks) {
        return false;
    }
    const uint64_t shard_bytes = blocks * kBlockBytes;
    const uint64_t most = clamp(shard_bytes / 4, 0, 0xffff0000U);
    z->max_object = config.max_object != 0 ? clamp(config.max_object, 1, most) : shard_bytes / 16;
    return true;
}

Config Store::most(uint64_t bytes, const Config& config) noexcept {
    ZoneHeader z;
    Shard shards[kMaxShards];
    Config out = config;
    out.objects = bytes / 256;
    out.purge_records = static_cast<uint32_t>(clamp(bytes / 64, 7, UINT32_MAX));
    Config plan = config;
    plan.max_object = ~uint64_t{0};
    out.max_object = plan_zone(bytes, 4096, plan, &z, shards) ? z.max_object : 0;
    return out;
}

uint64_t Store::max_object(uint64_t bytes, const Config& config) noexcept {
    ZoneHeader z;
    Shard shards[kMaxShards];
    return plan_zone(bytes, 4096, config, &z, shards) ? z.max_object : 0;
}

uint32_t zone_fingerprint() noexcept { return layout_fingerprint(base::mix64(kSpaceFingerprint, kEvictFingerprint)); }

Geometry geometry_of(const ZoneHeader& plan, const Shard& first) noexcept {
    Geometry g;
    g.shards_offset = plan.shard_offset[0];
    g.shard_stride = first.space_offset + first.space_bytes - g.shards_offset;
    g.shard_inverse = ~uint64_t{0} / g.shard_stride + 1;
    g.buckets_at = first.buckets_offset - g.shards_offset;
    g.overflow_at = first.overflow_offset - g.shards_offset;
    g.evict_at = first.evict_offset - g.shards_offset;
    g.space_at = first.space_offset - g.shards_offset;
    g.bucket_count = first.bucket_count;
    g.overflow_count = first.overflow_count;
    g.block_count = first.block_count;
    g.first_ref = static_cast<uint32_t>(first.blocks_offset / kRefBytes);
    g.shard_refs = first.block_count * (kBlockBytes / kRefBytes);
    g.all_refs = g.shard_refs * plan.shard_count;
    g.shard_count = plan.shard_count;
    g.evict_bytes = first.evict_bytes;
    g.blocks_offset = first.blocks_offset;
    g.user_offset = plan.user_offset;
    g.workers_offset = plan.workers_offset;
    g.leases_offset = plan.leases_offset;
    g.purges_offset = plan.purges_offset;
    g.marks_offset = plan.marks_offset;
    g.uses_offset = plan.uses_offset;
    g.worker_count = plan.worker_count;
    g.worker_bytes = plan.worker_bytes;
    g.slots_per_worker = plan.slots_per_worker;
    g.unfinished_per_worker = plan.unfinished_per_worker;
    g.lease_sets = plan.lease_sets;
    g.purge_sets = plan.purge_sets;
    g.mark_groups = plan.mark_groups;
    g.uses_lines = plan.uses_lines;
    g.eviction = plan.config_eviction;
    g.max_object = plan.max_object;
    g.overhead_bytes = plan.overhead_bytes;
    g.zone_id = plan.zone_id;
    std::memcpy(g.secret, plan.secret, sizeof(g.secret));
    return g;
}

bool zone_matches(const ZoneHeader& z, uint64_t bytes, uint32_t reserved, const Config& config,
                  Geometry* geo) noexcept {
    if (z.magic != kZoneMagic || z.version != kLayoutVersion || z.fingerprint != zone_fingerprint() ||
        z.zone_bytes != bytes || z.reserved_bytes != reserved || z.config_max_object != config.max_object ||
        z.config_objects != config.objects || z.config_purge_records != config.purge_records ||
        z.config_workers != config.workers || z.config_user_bytes != config.user_bytes ||
        z.config_eviction != static_cast<uint32_t>(config.eviction)) {
        return false;
    }
    // The offsets are computed anew rather than believed.
    ZoneHeader want;
    Shard shards[kMaxShards];
    if (!plan_zone(bytes, reserved, config, &want, shards) || want.shard_count != z.shard_count ||
        want.overhead_bytes != z.overhead_bytes || want.worker_count != z.worker_count ||
        want.worker_bytes != z.worker_bytes || want.slots_per_worker != z.slots_per_worker ||
        want.lease_sets != z.lease_sets || want.unfinished_per_worker != z.unfinished_per_worker ||
        want.purge_sets != z.purge_sets || want.mark_groups != z.mark_groups || want.uses_lines != z.uses_lines ||
        want.user_offset != z.user_offset || want.workers_offset != z.workers_offset ||
        want.leases_offset != z.leases_offset || want.purges_offset != z.purges_offset ||
        want.marks_offset != z.marks_offset || want.uses_offset != z.uses_offset || want.max_object != z.max_object) {
        return false;
    }
    const char* base = reinterpret_cast<const char*>(&z) - reserved;
    for (uint32_t i = 0; i < want.shard_count; i++) {
        if (want.shard_offset[i] != z.shard_offset[i] ||
            !shard_matches(*reinterpret_cast<const Shard*>(base + want.shard_offset[i]), shards[i])) {
            return false;
        }
    }
    want.config_eviction = static_cast<uint32_t>(config.eviction);
    want.zone_id = z.zone_id;
    std::memcpy(want.secret, z.secret, sizeof(want.secret));
    *geo = geometry_of(want, shards[0]);
    return true;
}

Shard* shard_of_ref(const Context& c, uint32_t ref) noexcept {
    if (ref < c.geo.first_ref) {
        return nullptr;
    }
    const uint32_t i = (ref - c.geo.first_ref) / c.geo.shard_refs;
    return i < c.geo.shard_count ? shard_at(c, i) : nullptr;
}

}  // namespace slab_cache::shm
