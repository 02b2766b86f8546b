// A zone with wrong bytes in it: lookups miss or answer, nothing reads out of bounds, a recovery makes it whole.
#include <gtest/gtest.h>

#include <cstring>

#include "shm/layout.h"
#include "support/expect_audit.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

constexpr uint32_t kObjects = 150;
constexpr size_t kBytes = 1 << 20;

// What comes back, read in every way there is; only that it ends and stays inside the zone matters.
size_t read_everything(Store& s, const SharedRegion& region) {
    size_t bytes = 0;
    const auto* from = static_cast<const char*>(region.base());
    for (uint32_t i = 0; i < kObjects; i++) {
        const std::string key = "k" + std::to_string(i);
        shm::Pin pin;
        if (s.find(digest_of(key), key, &pin) != Status::kOk) {
            continue;
        }
        static_cast<void>(s.validity(pin));
        const base::Bytes head = Store::head(pin);
        EXPECT_GE(head.data(), from);
        EXPECT_LE(head.data() + head.size(), from + region.bytes());
        std::string whole(Store::head_length(pin), '\0');
        static_cast<void>(s.copy_head(pin, whole.data()));
        uint64_t cursor = 0;
        uint64_t at = 0;
        shm::Segment seg[4];
        for (uint32_t n; at < (1 << 24) && (n = s.segments(pin, at, &cursor, seg, 4)) > 0;) {
            for (uint32_t k = 0; k < n; k++) {
                EXPECT_GE(seg[k].data, from);
                EXPECT_LE(seg[k].data + seg[k].len, from + region.bytes());
                at += seg[k].len;
            }
        }
        bytes += at;
        s.unpin(&pin);
    }
    return bytes;
}

shm::Config config() {
    shm::Config c;
    c.max_object = 160000;  // the default of so small a zone would refuse long heads
    return c;
}

// One in fifty with a front that goes on behind the first run.
Status put_some(Store& s, uint32_t i) {
    Object o;
    o.key = "k" + std::to_string(i);
    o.body = pattern(500 + i * 37, i);
    if (i % 50 == 7) {
        o.head = pattern(70000, i);
        o.selectors.assign(500, i);
    }
    return put(s, o);
}

// Flips bits in [from, to) of a populated zone, then uses it.
void flip_and_use(uint32_t seed, uint64_t from, uint64_t to, uint32_t flips) {
    Zone zone(kBytes, config());
    for (uint32_t i = 0; i < kObjects; i++) {
        ASSERT_EQ(put_some(zone.store, i), Status::kOk);
    }
    auto* bytes = static_cast<uint8_t*>(zone.region.base());
    uint32_t x = seed * 2654435761U + 1;
    for (uint32_t i = 0; i < flips; i++) {
        x = base::next_random(x);
        bytes[from + x % (to - from)] ^= static_cast<uint8_t>(1U << (x >> 29));
    }
    read_everything(zone.store, zone.region);
    Store after;
    ASSERT_EQ(after.attach(zone.region.base(), kBytes, 0, config()), Status::kOk);
    after.recover();
    zone.join(after, 9);
    EXPECT_AUDIT(after);
    read_everything(after, zone.region);
    for (uint32_t i = 0; i < 100; i++) {
        ASSERT_EQ(put(after, "new" + std::to_string(i), pattern(9000, i)), Status::kOk);
        ASSERT_EQ(get(after, "new" + std::to_string(i)), pattern(9000, i));
    }
    EXPECT_AUDIT(after);
}

const shm::ZoneHeader& header_of(const Zone& zone) { return *static_cast<const shm::ZoneHeader*>(zone.region.base()); }

uint64_t index_begin() {
    Zone zone(kBytes);
    return header_of(zone).shard_offset[0] + sizeof(shm::Shard);
}
uint64_t blocks_begin() {
    Zone zone(kBytes);
    return header_of(zone).overhead_bytes;
}

TEST(Nonsense, in_the_blocks_is_passed_over) {
    const uint64_t blocks = blocks_begin();
    for (uint32_t seed = 0; seed < 60; seed++) {
        flip_and_use(seed, blocks, kBytes, 3000);
        ASSERT_FALSE(HasFailure()) << "seed " << seed;
    }
}

TEST(Nonsense, in_the_index_is_passed_over) {
    const uint64_t index = index_begin();
    const uint64_t blocks = blocks_begin();
    for (uint32_t seed = 0; seed < 60; seed++) {
        flip_and_use(seed, index, blocks, 600);
        ASSERT_FALSE(HasFailure()) << "seed " << seed;
    }
}

TEST(Nonsense, in_the_tables_is_passed_over) {
    Zone zone(kBytes);
    const uint64_t from = header_of(zone).workers_offset;
    const uint64_t to = header_of(zone).shard_offset[0];
    for (uint32_t seed = 0; seed < 60; seed++) {
        flip_and_use(seed, from, to, 2000);
        ASSERT_FALSE(HasFailure()) << "seed " << seed;
    }
}

// Without a recovery between: the worst is a refused store or a counted miss.
TEST(Nonsense, in_the_blocks_does_not_stop_stores) {
    const uint64_t blocks = blocks_begin();
    for (uint32_t seed = 0; seed < 40; seed++) {
        Zone zone(kBytes);
        for (uint32_t i = 0; i < kObjects; i++) {
            ASSERT_EQ(put(zone.store, "k" + std::to_string(i), pattern(500 + i * 37, i)), Status::kOk);
        }
        auto* bytes = static_cast<uint8_t*>(zone.region.base());
        uint32_t x = seed * 2654435761U + 1;
        for (uint32_t i = 0; i < 2000; i++) {
            x = base::next_random(x);
            bytes[blocks + x % (kBytes - blocks)] ^= static_cast<uint8_t>(1U << (x >> 29));
        }
        uint32_t stored = 0;
        for (uint32_t i = 0; i < 300; i++) {
            stored += put(zone.store, "new" + std::to_string(i), pattern(2000, i)) == Status::kOk;
            zone.store.sweep(kNow, i, 16);
        }
        read_everything(zone.store, zone.region);
        EXPECT_GT(stored, 0u) << "seed " << seed;
    }
}

// Objects whose queue was let go are in the index, but eviction does not know them.
TEST(Nonsense, in_a_link_of_an_eviction_queue_is_repaired_by_the_next_writer) {
    Zone zone(kBytes);
    const auto store_some = [&](const std::string& name) {
        uint32_t stored = 0;
        for (uint32_t i = 0; i < 300; i++) {
            stored += put(zone.store, name + std::to_string(i), pattern(3000, i)) == Status::kOk ? 1 : 0;
        }
        return stored;
    };
    ASSERT_EQ(store_some("k"), 300u);
    shm::Pin pin;
    ASSERT_EQ(zone.store.find(digest_of("k250"), "k250", &pin), Status::kOk);
    const_cast<shm::Entry*>(pin.entry)->prev = 0xdeadbeef;
    zone.store.unpin(&pin);
    ASSERT_EQ(zone.store.remove(digest_of("k250"), "k250"), Status::kOk);
    EXPECT_GT(store_some("new"), 295u);
    EXPECT_AUDIT(zone.store);
}

// What a running process has worked out it does not read again: sizes and places written over move nothing.
TEST(Nonsense, in_header_and_shards_of_a_running_zone_moves_nothing) {
    for (uint32_t seed = 0; seed < 40; seed++) {
        Zone zone(kBytes);
        for (uint32_t i = 0; i < kObjects; i++) {
            ASSERT_EQ(put(zone.store, "k" + std::to_string(i), pattern(500 + i * 37, i)), Status::kOk);
        }
        auto* bytes = static_cast<uint8_t*>(zone.region.base());
        const uint64_t shard = header_of(zone).shard_offset[0];
        uint32_t x = seed * 2654435761U + 1;
        // All but what changes: a lock whose owner is made up is waited for.
        constexpr uint64_t kHeader = offsetof(shm::ZoneHeader, purge_seq);
        constexpr uint64_t kFrom = offsetof(shm::Shard, buckets_offset);
        for (uint64_t i = 0; i < kHeader + offsetof(shm::Shard, overflow_used) - kFrom; i++) {
            x = base::next_random(x);
            const auto byte = static_cast<uint8_t>(seed == 0 ? 0 : seed == 1 ? 0xff : x >> 24);
            bytes[i < kHeader ? i : shard + kFrom + i - kHeader] = byte;
        }
        EXPECT_FALSE(zone.store.is_intact());
        read_everything(zone.store, zone.region);
        for (uint32_t i = 0; i < 300; i++) {
            ASSERT_EQ(put(zone.store, "new" + std::to_string(i), pattern(2000, i)), Status::kOk);
            zone.store.sweep(kNow, i, 16);
        }
        EXPECT_AUDIT(zone.store);
        static_cast<void>(zone.store.stats());
        zone.store.reap();
        static_cast<void>(zone.store.purge_all(shm::PurgeMode::kHard));
        read_everything(zone.store, zone.region);
    }
}

}  // namespace
}  // namespace slab_cache::test
