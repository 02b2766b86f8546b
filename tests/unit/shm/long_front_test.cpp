// What stands before an object's body may be longer than a block: many selectors, a long key, a head of 192 KB.
#include <gtest/gtest.h>

#include "shm/layout.h"
#include "support/expect_audit.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using shm::Pin;

std::vector<uint64_t> tags(uint32_t n) {
    std::vector<uint64_t> out;
    for (uint32_t i = 0; i < n; i++) {
        out.push_back(fingerprint("tag " + std::to_string(i)));
    }
    return out;
}

Object object_with(size_t head, uint32_t selectors = 3, size_t body = 3000, size_t key = 10) {
    Object o;
    o.key = "k" + std::string(key - 1, 'k');
    o.head = pattern(head, static_cast<uint32_t>(head));
    o.selectors = tags(selectors);
    o.body = pattern(body, 5);
    return o;
}

std::string whole_head(const Store& store, const Pin& pin) {
    std::string head(Store::head_length(pin), '\0');
    return store.copy_head(pin, head.data()) ? head : "<nonsense>";
}

void expect_back(Store& store, const Object& o) {
    Pin pin;
    ASSERT_EQ(store.find(digest_of(o.key), o.key, &pin), Status::kOk);
    EXPECT_EQ(whole_head(store, pin), o.head);
    EXPECT_EQ(Store::head(pin), base::slice(o.head, 0, Store::head(pin).size()));
    EXPECT_GE(Store::head(pin).size(), std::min<size_t>(o.head.size(), 4096));
    EXPECT_EQ(read_body(store, pin), o.body);
    uint32_t n = 0;
    const uint64_t* selectors = Store::selectors(pin, &n);
    EXPECT_EQ(std::vector<uint64_t>(selectors, selectors + n), o.selectors);
    store.unpin(&pin);
}

// A block has 65,536 bytes: 16 of the run, 96 of the entry.
constexpr size_t kFrontOfOneBlock = 65536 - 16 - 96;

TEST(LongFront, heads_at_below_and_above_a_block_come_back_whole) {
    Zone zone(64 << 20);
    const size_t edge = kFrontOfOneBlock - 3 * 8 - 10;
    for (const size_t head : {edge - 1, edge, edge + 1, edge + 64, edge + 8192, size_t{131072}, size_t{192 * 1024}}) {
        for (const size_t body : {0, 1, 3000, 8192, 200000}) {
            for (const bool known : {true, false}) {
                Object o = object_with(head, 3, body);
                o.known_length = known;
                ASSERT_EQ(put(zone.store, o), Status::kOk) << head << " " << body;
                expect_back(zone.store, o);
                ASSERT_FALSE(HasFailure()) << head << " " << body << " " << known;
            }
        }
    }
    EXPECT_AUDIT(zone.store);
}

TEST(LongFront, one_that_fits_a_block_is_in_one_piece) {
    Zone zone(16 << 20);
    const Object o = object_with(kFrontOfOneBlock - 3 * 8 - 10);
    ASSERT_EQ(put(zone.store, o), Status::kOk);
    Pin pin;
    ASSERT_EQ(zone.store.find(digest_of(o.key), o.key, &pin), Status::kOk);
    EXPECT_EQ(Store::head(pin), o.head);
    zone.store.unpin(&pin);
}

TEST(LongFront, a_head_above_its_bound_is_refused) {
    Zone zone(64 << 20);
    EXPECT_EQ(put(zone.store, object_with(192 * 1024 + 1)), Status::kTooLarge);
    EXPECT_EQ(zone.store.stats().used_bytes, 0u);
}

TEST(LongFront, each_of_as_many_selectors_as_there_may_be_purges) {
    Zone zone(16 << 20);
    const Object o = object_with(70000, shm::kMaxSelectors);
    for (const uint32_t i : {0u, 63u, 64u, 65u, 127u, 128u, 255u, 256u, 2000u, shm::kMaxSelectors - 1}) {
        ASSERT_EQ(put(zone.store, o), Status::kOk);
        expect_back(zone.store, o);
        const uint64_t tag = fingerprint("tag " + std::to_string(i));
        static_cast<void>(zone.store.purge(&tag, 1, shm::PurgeMode::kHard));
        EXPECT_EQ(get(zone.store, o.key), "<purged>") << i;
    }
    EXPECT_AUDIT(zone.store);
}

TEST(LongFront, more_selectors_than_there_may_be_are_refused) {
    Zone zone(16 << 20);
    EXPECT_EQ(put(zone.store, object_with(100, shm::kMaxSelectors + 1)), Status::kTooLarge);
}

TEST(LongFront, the_longest_key_has_room_beside_the_most_selectors) {
    Zone zone(16 << 20);
    const Object o = object_with(192 * 1024, shm::kMaxSelectors, 3000, 32 * 1024);
    ASSERT_EQ(put(zone.store, o), Status::kOk);
    expect_back(zone.store, o);
    EXPECT_EQ(put(zone.store, object_with(100000, shm::kMaxSelectors, 10, 40 * 1024)), Status::kTooLarge);
    EXPECT_AUDIT(zone.store);
}

TEST(LongFront, is_read_while_the_body_grows) {
    Zone zone(16 << 20);
    const Object o = object_with(150000, 2000, 50000);
    shm::Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    Pin pin = zone.store.pin_writer(w);
    ASSERT_TRUE(pin);
    EXPECT_EQ(whole_head(zone.store, pin), o.head);
    ASSERT_EQ(zone.store.append(&w, o.body, kNow), Status::kOk);
    EXPECT_EQ(whole_head(zone.store, pin), o.head);
    ASSERT_EQ(zone.store.commit(&w, kNow), Status::kOk);
    EXPECT_EQ(whole_head(zone.store, pin), o.head);
    EXPECT_EQ(read_body(zone.store, pin), o.body);
    zone.store.unpin(&pin);
    expect_back(zone.store, o);
    EXPECT_AUDIT(zone.store);
}

TEST(LongFront, without_room_for_the_rest_of_it_nothing_is_left_behind) {
    shm::Config config;
    config.max_object = 300000;
    Zone zone(1 << 20, config);  // may fill a quarter of its one shard at a time
    Object o = object_with(0);
    std::vector<shm::Writer> writers;
    for (uint32_t i = 0; i < 100; i++) {
        o.key = "k" + std::to_string(i);
        o.head = pattern(60000 + 2500 * i % 100000, i);
        shm::Writer w;
        if (zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w) == Status::kOk) {
            writers.push_back(w);
        } else {
            EXPECT_FALSE(w);
        }
    }
    EXPECT_FALSE(writers.empty());
    EXPECT_LT(writers.size(), 100u);
    for (shm::Writer& w : writers) {
        zone.store.abort(&w);
    }
    zone.store.sweep(kNow, 1, 1);
    EXPECT_EQ(zone.store.stats().used_bytes, 0u);
    EXPECT_AUDIT(zone.store);
}

TEST(LongFront, is_kept_by_a_repair) {
    Zone zone(16 << 20);
    const Object o = object_with(150000, 2000, 20000);
    ASSERT_EQ(put(zone.store, o), Status::kOk);
    Store after;
    ASSERT_EQ(after.attach(zone.region.base(), zone.region.bytes(), 0, {}), Status::kOk);
    after.recover();
    zone.join(after, 9);
    expect_back(after, o);
    EXPECT_AUDIT(after);
}

TEST(LongFront, goes_into_another_zone_whole) {
    Zone zone(16 << 20);
    Zone other(8 << 20);
    const Object o = object_with(150000, shm::kMaxSelectors, 20000);
    ASSERT_EQ(put(zone.store, o), Status::kOk);
    shm::CarryRules rules;
    rules.now_sec = kNow;
    other.store.carry(&zone.store, rules);
    expect_back(other.store, o);
    EXPECT_AUDIT(other.store);
}

TEST(LongFront, many_selectors_do_not_make_a_sweep_miss_an_entry) {
    Zone zone(64 << 20);
    Object o = object_with(200, shm::kMaxSelectors, 100);
    for (uint32_t i = 0; i < 300; i++) {
        o.key = "k" + std::to_string(i);
        ASSERT_EQ(put(zone.store, o), Status::kOk);
    }
    const uint64_t tag = fingerprint("tag 7");
    static_cast<void>(zone.store.purge(&tag, 1, shm::PurgeMode::kHard));
    ASSERT_TRUE(zone.store.sweep(kNow, 1, static_cast<uint32_t>(zone.store.stats().index_slots)));
    EXPECT_EQ(zone.store.stats().entries, 0u);
    EXPECT_AUDIT(zone.store);
}

}  // namespace
}  // namespace slab_cache::test
