// A million objects with ten tags each: the purge of one tag that a tenth of them carries takes exactly those.
//
// Usage: tag_purge [SECONDS] [OBJECTS]     the first is what all stress programs are given, and means nothing here
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "support/expect_audit.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

constexpr uint32_t kTags = 10;
uint32_t g_objects = 1'000'000;

// Tag k of object i is one of the 10^(k mod 6 + 1) there are of its kind: some are on a tenth of all, some on one.
uint64_t tag_of(uint32_t k, uint64_t number) { return base::mix64(uint64_t{k} << 40 | number) | 2; }
uint64_t number_of(uint32_t k, uint32_t i) {
    constexpr uint32_t kMany[] = {10, 100, 1000, 10000, 100000, 1000000};
    return i % kMany[k % 6];
}

struct Keyed {
    char key[16] = "object/";
    shm::NewEntry what;

    explicit Keyed(uint32_t i) {
        std::memcpy(key + 8, &i, sizeof(i));
        what.key = {key, sizeof(key)};
        what.digest = {base::mix64(i + 1), base::mix64(i ^ 0x5bd1e995)};
    }
};

bool put(Store& store, uint32_t i) {
    Keyed object(i);
    uint64_t tags[kTags];
    for (uint32_t k = 0; k < kTags; k++) {
        tags[k] = tag_of(k, number_of(k, i));
    }
    object.what.head = "HTTP/1.1 200";
    object.what.selectors = tags;
    object.what.selector_count = kTags;
    object.what.birth = store.birth_stamp();
    object.what.fresh_until_sec = object.what.stale_until_sec = kNow + 3600;
    object.what.body_bytes = sizeof(i);
    shm::Writer w;
    const bool ok = store.begin(object.what, kNow, &w) == Status::kOk &&
                    store.append(&w, {reinterpret_cast<const char*>(&i), sizeof(i)}, kNow) == Status::kOk &&
                    store.commit(&w, kNow) == Status::kOk;
    store.abort(&w);
    return ok;
}

shm::Validity ask(Store& store, uint32_t i) {
    const Keyed object(i);
    shm::Pin pin;
    EXPECT_EQ(store.find(object.what.digest, object.what.key, &pin), Status::kOk) << i;
    const shm::Validity v = store.validity(pin);
    store.unpin(&pin);
    return v;
}

uint64_t purge(Store& store, uint32_t k, uint64_t number, shm::PurgeMode mode) {
    const uint64_t tag = tag_of(k, number);
    const auto start = std::chrono::steady_clock::now();
    store.purge(&tag, 1, mode);
    return static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count());
}

TEST(TagPurge, takes_exactly_the_objects_that_carry_the_tag) {
    shm::Config config;
    config.objects = g_objects * 5ULL / 4;
    Zone zone(static_cast<size_t>(g_objects) * 480 + (16 << 20), config);
    auto other = zone.attach(2);
    for (uint32_t i = 0; i < g_objects; i++) {
        ASSERT_TRUE(put(zone.store, i)) << i;
    }
    ASSERT_EQ(zone.store.stats().entries, g_objects);
    const uint64_t hard_ns = purge(zone.store, 0, 3, shm::PurgeMode::kHard);   // on every tenth
    const uint64_t soft_ns = purge(zone.store, 1, 42, shm::PurgeMode::kSoft);  // on every hundredth
    uint32_t hard = 0;
    uint32_t soft = 0;
    for (uint32_t i = 0; i < g_objects; i++) {
        const shm::Validity wanted = i % 10 == 3     ? shm::Validity::kPurged
                                     : i % 100 == 42 ? shm::Validity::kSoftPurged
                                                     : shm::Validity::kValid;
        hard += wanted == shm::Validity::kPurged ? 1 : 0;
        soft += wanted == shm::Validity::kSoftPurged ? 1 : 0;
        ASSERT_EQ(ask(*other, i), wanted) << i;
    }
    EXPECT_EQ(hard, g_objects / 10);
    EXPECT_EQ(soft, g_objects / 100);
    EXPECT_AUDIT(zone.store);
    std::printf("%u of %u objects gone, %u stale; the purges took %llu and %llu ns\n", hard, g_objects, soft,
                static_cast<unsigned long long>(hard_ns), static_cast<unsigned long long>(soft_ns));
}

}  // namespace
}  // namespace slab_cache::test

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc > 2) {
        slab_cache::test::g_objects = static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10));
    }
    return RUN_ALL_TESTS();
}
