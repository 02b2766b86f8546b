// attach() believes no offset of a file: those of the shards are computed anew too.
#include <gtest/gtest.h>

#include "shm/layout.h"
#include "shm/zone_plan.h"
#include "support/zone_fixture.h"

namespace slab_cache::shm {
namespace {

constexpr uint32_t kReserved = 4096;
constexpr uint64_t kBytes = 16 << 20;

struct Formatted {
    Formatted() : region(kBytes) {
        Store store;
        created = store.create(region.base(), kBytes, kReserved, config, test::kSeed);
    }
    Shard* shard() {
        char* base = static_cast<char*>(region.base());
        const auto* z = reinterpret_cast<const ZoneHeader*>(base + kReserved);
        return reinterpret_cast<Shard*>(base + z->shard_offset[0]);
    }
    Status attach() {
        Store store;
        return store.attach(region.base(), kBytes, kReserved, config);
    }
    Config config;
    test::SharedRegion region;
    Status created;
};

TEST(AttachGeometry, an_untouched_zone_is_attached) {
    Formatted zone;
    EXPECT_EQ(zone.created, Status::kOk);
    EXPECT_EQ(zone.attach(), Status::kOk);
}

TEST(AttachGeometry, a_shifted_table_of_buckets_is_refused) {
    Formatted zone;
    zone.shard()->buckets_offset += 2;
    EXPECT_EQ(zone.attach(), Status::kStaleFormat);
}

TEST(AttachGeometry, a_count_of_blocks_beyond_the_zone_is_refused) {
    Formatted zone;
    zone.shard()->block_count *= 2;
    EXPECT_EQ(zone.attach(), Status::kStaleFormat);
}

TEST(AttachGeometry, another_largest_object_is_refused) {
    Formatted zone;
    auto* z = reinterpret_cast<ZoneHeader*>(static_cast<char*>(zone.region.base()) + kReserved);
    z->max_object *= 100;
    EXPECT_EQ(zone.attach(), Status::kStaleFormat);
}

// Blocks that end where the reach of a ref ends, with the last ref behind them being 2^32.
TEST(Geometry, of_the_largest_zone_leaves_the_last_shard_its_blocks) {
    Config config;
    config.objects = 63'490'880;
    ZoneHeader z;
    Shard shards[kMaxShards];
    ASSERT_TRUE(plan_zone(uint64_t{1} << 38, 0, config, &z, shards));
    char somewhere = 0;
    Context c;
    c.base = &somewhere;
    c.bytes = uint64_t{1} << 38;
    c.geo = geometry_of(z, shards[0]);
    const uint64_t last = uint64_t{c.geo.first_ref} + uint64_t{c.geo.shard_refs} * z.shard_count;
    EXPECT_LE(last, UINT32_MAX);
    EXPECT_EQ(shards[z.shard_count - 1].blocks_offset / kRefBytes + c.geo.shard_refs, last);
    for (uint32_t i = 0; i < z.shard_count; i++) {
        EXPECT_EQ(z.shard_offset[i], c.geo.shards_offset + i * c.geo.shard_stride);
        EXPECT_EQ(index_of(c, *shard_at(c, i)), i);
    }
}

}  // namespace
}  // namespace slab_cache::shm
