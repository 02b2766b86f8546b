// What a store promises to one process: objects come back as they went in, or not at all.
#include <gtest/gtest.h>

#include "support/expect_audit.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using shm::Config;
using shm::Pin;
using shm::Validity;
using shm::Writer;

TEST(Store, an_object_comes_back_with_all_its_parts) {
    Zone zone;
    Object o;
    o.key = "GET http host /a";
    o.body = pattern(1000, 1);
    o.selectors = {fingerprint("t1"), fingerprint("t2")};
    ASSERT_EQ(put(zone.store, o), Status::kOk);
    Pin pin;
    ASSERT_EQ(zone.store.find(digest_of(o.key), o.key, &pin), Status::kOk);
    EXPECT_EQ(Store::key(pin), o.key);
    EXPECT_EQ(Store::head(pin), o.head);
    EXPECT_EQ(Store::flags(pin), 7u);
    EXPECT_EQ(Store::fill_cost_us(pin), 1500u);
    EXPECT_EQ(Store::fresh_until(pin), o.fresh);
    EXPECT_EQ(Store::stale_until(pin), o.stale);
    EXPECT_EQ(Store::body_length(pin), 1000);
    EXPECT_TRUE(Store::is_complete(pin));
    EXPECT_EQ(read_body(zone.store, pin), o.body);
    zone.store.unpin(&pin);
    EXPECT_AUDIT(zone.store);
}

TEST(Store, bodies_of_all_sizes_come_back_byte_exact) {
    Zone zone(64 << 20);
    for (const bool known : {true, false}) {
        for (const size_t n : {0, 1, 63, 64, 5000, 7000, 7168, 8000, 8191, 8192, 8193, 16000, 65519, 65520, 65521,
                               70000, 150000, 1000001, 3000000}) {
            Object o;
            o.key = "k" + std::to_string(n) + (known ? "k" : "u");
            o.body = pattern(n, static_cast<uint32_t>(n));
            o.known_length = known;
            ASSERT_EQ(put(zone.store, o), Status::kOk) << n;
            EXPECT_EQ(get(zone.store, o.key), o.body) << n << " known " << known;
        }
    }
    EXPECT_AUDIT(zone.store);
}

TEST(Store, a_small_object_of_unknown_length_takes_no_more_room_than_one_of_known) {
    Zone zone;
    uint64_t occupied[2] = {};
    for (const bool known : {true, false}) {
        Object o;
        o.key = known ? "known" : "unknow";
        o.body = pattern(1024, 3);
        o.known_length = known;
        ASSERT_EQ(put(zone.store, o), Status::kOk);
        Pin pin;
        ASSERT_EQ(zone.store.find(digest_of(o.key), o.key, &pin), Status::kOk);
        occupied[known] = zone.store.occupied_bytes(pin);
        zone.store.unpin(&pin);
    }
    EXPECT_LE(occupied[0], occupied[1] + 64);
}

TEST(Store, other_keys_miss) {
    Zone zone;
    ASSERT_EQ(put(zone.store, "a", "body"), Status::kOk);
    EXPECT_EQ(get(zone.store, "b"), "<miss>");
}

TEST(Store, a_key_that_only_shares_the_digest_misses) {
    Zone zone;
    ASSERT_EQ(put(zone.store, "a", "body"), Status::kOk);
    Pin pin;
    EXPECT_EQ(zone.store.find(digest_of("a"), "another key", &pin), Status::kMiss);
}

TEST(Store, a_second_store_of_a_key_replaces_the_first) {
    Zone zone;
    ASSERT_EQ(put(zone.store, "a", "one"), Status::kOk);
    ASSERT_EQ(put(zone.store, "a", "two"), Status::kOk);
    EXPECT_EQ(get(zone.store, "a"), "two");
    EXPECT_EQ(zone.store.stats().entries, 1u);
    EXPECT_AUDIT(zone.store);
}

TEST(Store, a_replaced_object_stays_readable_while_it_is_pinned) {
    Zone zone;
    const std::string old = pattern(100000, 1);
    ASSERT_EQ(put(zone.store, "a", old), Status::kOk);
    Pin pin;
    ASSERT_EQ(zone.store.find(digest_of("a"), "a", &pin), Status::kOk);
    for (uint32_t i = 0; i < 200; i++) {
        ASSERT_EQ(put(zone.store, "a", pattern(100000, 2 + i)), Status::kOk);
    }
    EXPECT_EQ(read_body(zone.store, pin), old);
    EXPECT_AUDIT(zone.store);
    zone.store.unpin(&pin);
    EXPECT_EQ(get(zone.store, "a"), pattern(100000, 201));
}

TEST(Store, a_removed_object_is_gone_and_its_space_comes_back) {
    Zone zone;
    const uint64_t before = zone.store.stats().used_bytes;
    ASSERT_EQ(put(zone.store, "a", pattern(50000, 1)), Status::kOk);
    EXPECT_EQ(zone.store.remove(digest_of("a"), "a"), Status::kOk);
    EXPECT_EQ(zone.store.remove(digest_of("a"), "a"), Status::kMiss);
    EXPECT_EQ(get(zone.store, "a"), "<miss>");
    zone.store.sweep(kNow, 1, 1);
    EXPECT_EQ(zone.store.stats().used_bytes, before);
    EXPECT_AUDIT(zone.store);
}

TEST(Store, an_aborted_store_leaves_nothing) {
    Zone zone;
    Object o;
    o.key = "a";
    o.known_length = false;
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    ASSERT_EQ(zone.store.append(&w, pattern(40000, 1), kNow), Status::kOk);
    EXPECT_GT(zone.store.stats().filling_bytes, 0u);
    zone.store.abort(&w);
    zone.store.abort(&w);
    zone.store.sweep(kNow, 1, 1);
    EXPECT_EQ(zone.store.stats().used_bytes, 0u);
    EXPECT_EQ(get(zone.store, "a"), "<miss>");
    EXPECT_AUDIT(zone.store);
}

TEST(Store, a_body_shorter_than_announced_is_never_published) {
    Zone zone;
    Object o;
    o.key = "a";
    o.body = pattern(3000, 1);
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    ASSERT_EQ(zone.store.append(&w, "short", kNow), Status::kOk);
    EXPECT_EQ(zone.store.commit(&w, kNow), Status::kCorrupt);
    EXPECT_EQ(get(zone.store, "a"), "<miss>");
    EXPECT_AUDIT(zone.store);
}

TEST(Store, an_object_above_the_limit_is_refused_early_and_late) {
    Config config;
    config.max_object = 20000;
    Zone zone(4 << 20, config);
    EXPECT_EQ(put(zone.store, "a", pattern(20001, 1)), Status::kTooLarge);
    Object o;
    o.key = "b";
    o.body = pattern(20001, 1);
    o.known_length = false;
    EXPECT_EQ(put(zone.store, o), Status::kTooLarge);
    EXPECT_AUDIT(zone.store);
}

TEST(Store, a_full_zone_evicts_and_never_refuses) {
    Zone zone;
    for (uint32_t i = 0; i < 5000; i++) {
        ASSERT_EQ(put(zone.store, "k" + std::to_string(i), pattern(1000 + i % 9000, i)), Status::kOk) << i;
    }
    const shm::Stats s = zone.store.stats();
    EXPECT_GT(s.used_bytes, s.capacity_bytes * 8 / 10);
    EXPECT_EQ(get(zone.store, "k4999"), pattern(1000 + 4999 % 9000, 4999));
    EXPECT_AUDIT(zone.store);
}

// As many as it was made for find their place however long they come and go: overflow buckets go where they are needed.
TEST(Store, an_index_that_has_seen_much_coming_and_going_keeps_what_it_was_made_for) {
    Config config;
    config.objects = 2000;
    Zone zone(32 << 20, config);
    std::vector<std::string> keys;
    uint32_t next = 0;
    for (; next < 1900; next++) {
        keys.push_back("k" + std::to_string(next));
        ASSERT_EQ(put(zone.store, keys.back(), "x"), Status::kOk);
    }
    uint32_t random = 1;
    for (uint32_t round = 0; round < 30000; round++) {
        random = base::next_random(random);
        std::string& gone = keys[random % keys.size()];
        (void) zone.store.remove(digest_of(gone), gone);
        gone = "k" + std::to_string(next++);
        ASSERT_EQ(put(zone.store, gone, "x"), Status::kOk);
    }
    uint32_t lost = 0;
    for (const std::string& key : keys) {
        lost += get(zone.store, key) == "x" ? 0 : 1;
    }
    EXPECT_EQ(lost, 0u);
    EXPECT_AUDIT(zone.store);
}

TEST(Store, more_objects_than_the_index_was_made_for_still_work) {
    Config config;
    config.objects = 64;
    Zone zone(4 << 20, config);
    for (uint32_t i = 0; i < 2000; i++) {
        ASSERT_EQ(put(zone.store, "k" + std::to_string(i), "b" + std::to_string(i)), Status::kOk);
        ASSERT_EQ(get(zone.store, "k" + std::to_string(i)), "b" + std::to_string(i));
    }
    EXPECT_AUDIT(zone.store);
}

TEST(Store, nothing_is_evicted_while_pinned_and_a_store_that_finds_only_pinned_ones_is_refused) {
    Zone zone(2 << 20);
    std::vector<Pin> pins;
    Status last = Status::kOk;
    for (uint32_t i = 0; i < 2000 && last == Status::kOk; i++) {
        const std::string key = "k" + std::to_string(i);
        last = put(zone.store, key, pattern(30000, i));
        Pin pin;
        if (last == Status::kOk && zone.store.find(digest_of(key), key, &pin) == Status::kOk) {
            pins.push_back(pin);
        }
    }
    EXPECT_EQ(last, Status::kNoSpace);
    for (uint32_t i = 0; i < pins.size(); i++) {
        EXPECT_EQ(read_body(zone.store, pins[i]), pattern(30000, i));
        zone.store.unpin(&pins[i]);
    }
    EXPECT_EQ(put(zone.store, "again", "x"), Status::kOk);
    EXPECT_AUDIT(zone.store);
}

TEST(Store, lookups_beyond_the_last_hazard_slot_are_refused_not_blocked) {
    Zone zone(1 << 20);
    std::vector<Pin> pins;
    Status last = Status::kOk;
    for (uint32_t i = 0; i < 100 && last == Status::kOk; i++) {
        const std::string key = "k" + std::to_string(i);
        ASSERT_EQ(put(zone.store, key, "x"), Status::kOk);
        Pin pin;
        last = zone.store.find(digest_of(key), key, &pin);
        if (last == Status::kOk) {
            pins.push_back(pin);
        }
    }
    EXPECT_EQ(last, Status::kBusy);
    EXPECT_EQ(pins.size(), 63u);
    for (Pin& p : pins) {
        zone.store.unpin(&p);
    }
    EXPECT_EQ(get(zone.store, "k1"), "x");
}

TEST(Store, further_pins_of_one_object_take_no_slot) {
    Zone zone;
    ASSERT_EQ(put(zone.store, "a", "x"), Status::kOk);
    std::vector<Pin> pins(5000);
    for (Pin& p : pins) {
        ASSERT_EQ(zone.store.find(digest_of("a"), "a", &p), Status::kOk);
    }
    EXPECT_EQ(zone.store.stats().pins, 1u);
    Pin extra = zone.store.repin(pins[0]);
    for (Pin& p : pins) {
        zone.store.unpin(&p);
    }
    EXPECT_EQ(zone.store.stats().pins, 1u);
    zone.store.unpin(&extra);
    EXPECT_EQ(zone.store.stats().pins, 0u);
}

TEST(Store, a_growing_object_is_read_as_far_as_it_is_written) {
    Zone zone(64 << 20);
    const std::string body = pattern(700000, 9);
    Object o;
    o.key = "a";
    o.known_length = false;
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    Pin pin = zone.store.pin_writer(w);
    ASSERT_TRUE(pin);
    EXPECT_EQ(Store::body_length(pin), -1);
    for (size_t at = 0; at < body.size(); at += 7001) {
        ASSERT_EQ(zone.store.append(&w, base::slice(body, at, 7001), kNow), Status::kOk);
        ASSERT_EQ(read_body(zone.store, pin), body.substr(0, at + 7001));
        ASSERT_FALSE(Store::is_complete(pin));
    }
    ASSERT_EQ(zone.store.commit(&w, kNow), Status::kOk);
    EXPECT_TRUE(Store::is_complete(pin));
    EXPECT_EQ(read_body(zone.store, pin), body);
    zone.store.unpin(&pin);
    EXPECT_EQ(get(zone.store, "a"), body);
    EXPECT_AUDIT(zone.store);
}

TEST(Store, the_reserved_bytes_are_left_alone) {
    Config config;
    SharedRegion region(2 << 20);
    std::memset(region.base(), 0xab, 256);
    Store store;
    ASSERT_EQ(store.create(region.base(), region.bytes(), 256, config, kSeed), Status::kOk);
    EXPECT_EQ(std::string(static_cast<char*>(region.base()), 256), std::string(256, '\xab'));
}

TEST(Store, a_zone_of_the_least_size_works_and_a_smaller_one_is_refused) {
    Config config;
    const uint64_t least = Store::min_bytes(config);
    EXPECT_LE(least, 1u << 20);
    Zone zone(least, config, 4096);
    ASSERT_EQ(zone.status, Status::kOk);
    EXPECT_EQ(put(zone.store, "a", "x"), Status::kOk);
    EXPECT_EQ(get(zone.store, "a"), "x");
    Zone small(least - 128 * 1024, config, 4096);
    EXPECT_EQ(small.status, Status::kTooSmall);
}

TEST(Store, a_zone_of_another_size_configuration_or_build_is_not_attached) {
    Config config;
    Zone zone(4 << 20, config);
    Store other;
    EXPECT_EQ(other.attach(zone.region.base(), (4 << 20) - 4096, 0, config), Status::kStaleFormat);
    Config changed = config;
    changed.objects = 4711;
    EXPECT_EQ(other.attach(zone.region.base(), 4 << 20, 0, changed), Status::kStaleFormat);
    EXPECT_EQ(other.attach(zone.region.base(), 4 << 20, 0, config), Status::kOk);
    static_cast<uint32_t*>(zone.region.base())[2] += 1;  // the version
    EXPECT_EQ(other.attach(zone.region.base(), 4 << 20, 0, config), Status::kStaleFormat);
}

TEST(Store, large_zones_are_sharded_and_behave_the_same) {
    Zone zone(256 << 20);
    EXPECT_EQ(zone.store.stats().shards, 4u);
    for (uint32_t i = 0; i < 3000; i++) {
        ASSERT_EQ(put(zone.store, "k" + std::to_string(i), pattern(3000, i)), Status::kOk);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        ASSERT_EQ(get(zone.store, "k" + std::to_string(i)), pattern(3000, i));
    }
    EXPECT_AUDIT(zone.store);
}

TEST(Store, an_object_of_one_kilobyte_costs_at_most_1450_bytes_of_zone) {
    Config config;
    config.objects = 20000;
    Zone zone(29'000'000 / 4096 * 4096, config);  // 20,000 x 1,450
    for (uint32_t i = 0; i < 20000; i++) {
        Object o;
        o.key = "5:https11:example.org19:/some/path/to/" + std::to_string(100000 + i);
        o.head = std::string(130, 'h');
        o.body = pattern(1024, i);
        o.selectors = {1 + i, 2, 3, 4};
        ASSERT_EQ(put(zone.store, o), Status::kOk);
    }
    EXPECT_EQ(zone.store.stats().entries, 20000u);
    const shm::Stats s = zone.store.stats();
    RecordProperty("bytes_per_object", static_cast<int>((s.used_bytes + s.overhead_bytes) / 20000));
    EXPECT_EQ(zone.store.counter_sum(static_cast<uint32_t>(8)), 0u) << "evicted";
}

TEST(Store, counters_never_fall_when_a_process_leaves) {
    Zone zone;
    auto other = zone.attach(2);
    other->count(100, 5);
    EXPECT_EQ(zone.store.counter_sum(100), 5u);
    other->leave();
    EXPECT_EQ(zone.store.counter_sum(100), 5u);
}

TEST(Store, the_sweeper_takes_out_what_expired) {
    Zone zone;
    Object o;
    o.key = "old";
    o.body = "x";
    o.fresh = kNow - 100;
    o.stale = kNow - 50;
    ASSERT_EQ(put(zone.store, o), Status::kOk);
    ASSERT_EQ(put(zone.store, "new", "y"), Status::kOk);
    zone.store.sweep(kNow, 1, 1 << 20);
    EXPECT_EQ(get(zone.store, "old"), "<miss>");
    EXPECT_EQ(get(zone.store, "new"), "y");
    EXPECT_AUDIT(zone.store);
}

TEST(Store, a_visit_shows_every_object_once) {
    Zone zone;
    for (uint32_t i = 0; i < 500; i++) {
        ASSERT_EQ(put(zone.store, "k" + std::to_string(i), "x"), Status::kOk);
    }
    std::multiset<std::string> seen;
    uint64_t cursor = 0;
    do {
        zone.store.visit(
            &cursor, 10,
            [](const Pin& pin, void* context) {
                static_cast<std::multiset<std::string>*>(context)->insert(std::string(Store::key(pin)));
            },
            &seen);
    } while (cursor != 0);
    EXPECT_EQ(seen.size(), 500u);
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 500u);
}

TEST(Store, recovery_keeps_what_is_whole_and_forgets_what_was_under_way) {
    Zone zone;
    for (uint32_t i = 0; i < 300; i++) {
        ASSERT_EQ(put(zone.store, "k" + std::to_string(i), pattern(3000, i)), Status::kOk);
    }
    Object o;
    o.key = "half";
    o.known_length = false;
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    Store after;
    ASSERT_EQ(after.attach(zone.region.base(), zone.region.bytes(), 0, Config{}), Status::kOk);
    after.recover();
    zone.join(after, 9);
    EXPECT_AUDIT(after);
    EXPECT_EQ(after.stats().filling_bytes, 0u);
    for (uint32_t i = 0; i < 300; i++) {
        ASSERT_EQ(get(after, "k" + std::to_string(i)), pattern(3000, i));
    }
}

}  // namespace
}  // namespace slab_cache::test
