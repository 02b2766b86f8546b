// Making room in a full zone whatever it is full of.
#include <gtest/gtest.h>

#include "support/expect_audit.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

// Small objects leave no whole page anywhere; an object of unknown length wants one.
TEST(Room, is_made_for_objects_of_unknown_length_in_a_zone_full_of_small_ones) {
    Zone zone(8 << 20);
    for (uint32_t i = 0; i < 4000; i++) {
        ASSERT_EQ(put(zone.store, "k" + std::to_string(i), pattern(3000, i)), Status::kOk);
    }
    uint32_t failed = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        Object o;
        o.key = "u" + std::to_string(i);
        o.body = pattern(4000, i);
        o.known_length = false;
        failed += put(zone.store, o) == Status::kOk ? 0 : 1;
    }
    EXPECT_EQ(failed, 0u);
    EXPECT_AUDIT(zone.store);
}

// Objects of a known size, pinned and held one by one.
class Holds {
public:
    explicit Holds(size_t zone_bytes) : zone(zone_bytes) {}

    shm::Pin pin(uint32_t i, size_t bytes = 60000) {
        const std::string key = "k" + std::to_string(i);
        EXPECT_EQ(put(zone.store, key, pattern(bytes, i)), Status::kOk);
        shm::Pin pin;
        EXPECT_EQ(zone.store.find(digest_of(key), key, &pin), Status::kOk);
        pins.push_back(pin);
        return pin;
    }
    void hold(uint32_t from, uint32_t to) {
        for (uint32_t i = from; i < to; i++) {
            zone.store.hold(pin(i));
        }
    }
    void let_go() {
        for (shm::Pin& p : pins) {
            zone.store.unpin(&p);
        }
        pins.clear();
    }
    uint64_t capacity() const { return zone.store.stats().capacity_bytes; }

    Zone zone;
    std::vector<shm::Pin> pins;
};

TEST(Holds, are_enough_at_half_of_a_workers_part_of_the_zone) {
    for (const uint32_t workers : {1u, 3u}) {
        Holds h(8 << 20);
        const auto most = static_cast<uint32_t>(h.capacity() / workers / 2 / 61440);
        h.hold(0, most - 1);
        EXPECT_FALSE(h.zone.store.is_enough_held(h.pin(998, 5000), workers));
        h.hold(most, most + 2);
        const shm::Pin next = h.pin(999);
        EXPECT_TRUE(h.zone.store.is_enough_held(next, workers));
        EXPECT_FALSE(h.zone.store.is_enough_held(h.pins[0], workers)) << "held: it costs no more";
        h.let_go();
        EXPECT_FALSE(h.zone.store.is_enough_held(h.pin(1000), workers));
        h.let_go();
        EXPECT_AUDIT(h.zone.store);
    }
}

TEST(Holds, are_enough_at_a_quarter_where_they_last_for_seconds) {
    Holds h(8 << 20);
    const auto quarter = static_cast<uint32_t>(h.capacity() / 4 / 61440);
    h.hold(0, quarter + 2);
    const shm::Pin next = h.pin(999);
    h.zone.store.age_holds();
    EXPECT_FALSE(h.zone.store.is_enough_held(next, 1));
    h.zone.store.age_holds();
    EXPECT_TRUE(h.zone.store.is_enough_held(next, 1));
    h.zone.store.age_holds();
    h.let_go();
    EXPECT_FALSE(h.zone.store.is_enough_held(h.pin(1000), 1));
    h.let_go();
}

TEST(Holds, of_one_object_by_many_count_once) {
    Holds h(8 << 20);
    const shm::Pin first = h.pin(0);
    for (int i = 0; i < 1000; i++) {
        h.pins.push_back(h.zone.store.repin(first));
        h.zone.store.hold(first);
    }
    EXPECT_FALSE(h.zone.store.is_enough_held(h.pin(1), 1));
    h.let_go();
}

TEST(Holds, are_enough_at_half_of_the_pins) {
    Holds h(16 << 20);
    for (uint32_t i = 0; i < 520; i++) {
        h.pin(i, 100);
    }
    EXPECT_TRUE(h.zone.store.is_enough_held(h.pins[0], 1));
    h.let_go();
}

TEST(Holds, of_one_that_grows_grow_with_it) {
    Holds h(8 << 20);
    Object o;
    o.key = "growing";
    o.known_length = false;
    shm::Writer w;
    ASSERT_EQ(h.zone.store.begin(describe(o, h.zone.store.birth_stamp()), kNow, &w), Status::kOk);
    shm::Pin pin = h.zone.store.pin_writer(w);
    h.zone.store.hold(pin);
    const shm::Pin other = h.pin(1);
    const std::string piece = pattern(60000, 1);
    while (w.written < 300'000) {
        ASSERT_EQ(h.zone.store.append(&w, piece, kNow), Status::kOk);
        h.zone.store.hold(pin);
    }
    const auto workers = static_cast<uint32_t>(h.capacity() / w.written * 2);
    EXPECT_TRUE(h.zone.store.is_enough_held(other, workers));
    h.zone.store.unpin(&pin);
    EXPECT_FALSE(h.zone.store.is_enough_held(other, workers));
    h.zone.store.abort(&w);
    h.let_go();
}

}  // namespace
}  // namespace slab_cache::test
