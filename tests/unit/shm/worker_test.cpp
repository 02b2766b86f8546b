// Many processes at one zone: records, the dead, and threads that play processes (for ThreadSanitizer).
#include <gtest/gtest.h>

#include <thread>

#include "shm/layout.h"
#include "support/expect_audit.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using shm::Pin;
using shm::PurgeMode;
using shm::Validity;
using shm::Writer;

Writer half_written(Store& store, const std::string& key) {
    Object o;
    o.key = key;
    o.known_length = false;
    Writer w;
    EXPECT_EQ(store.begin(describe(o, store.birth_stamp()), kNow, &w), Status::kOk);
    EXPECT_EQ(store.append(&w, pattern(20000, 1), kNow), Status::kOk);
    return w;
}

TEST(Workers, get_records_of_their_own_and_give_them_back) {
    Zone zone;
    auto two = zone.attach(2);
    EXPECT_NE(zone.store.worker_index(), two->worker_index());
    EXPECT_EQ(zone.store.worker_at(two->worker_index()).pid, 2u);
    EXPECT_EQ(zone.store.stats().workers_live, 2u);
    two->leave();
    two->leave();
    EXPECT_EQ(zone.store.stats().workers_live, 1u);
}

TEST(Workers, beyond_the_last_record_are_refused_and_serve_on_when_one_is_free) {
    Zone zone;
    std::vector<std::unique_ptr<Store>> all;
    while (zone.status == Status::kOk && all.size() < 300) {
        all.push_back(zone.attach(static_cast<uint32_t>(2 + all.size())));
    }
    EXPECT_EQ(all.size(), 64u);  // the last one has none
    EXPECT_FALSE(all.back()->joined());
    Pin pin;
    EXPECT_EQ(all.back()->find(digest_of("a"), "a", &pin), Status::kBusy);
    all[0]->leave();
    zone.join(*all.back(), 200);
    EXPECT_TRUE(all.back()->joined());
    for (auto& s : all) {
        s->leave();
    }
}

TEST(Workers, a_dead_ones_pins_and_fills_are_taken_back) {
    Zone zone;
    auto victim = zone.attach(2);
    ASSERT_EQ(put(zone.store, "a", pattern(5000, 1)), Status::kOk);
    Pin pin;
    ASSERT_EQ(victim->find(digest_of("a"), "a", &pin), Status::kOk);
    half_written(*victim, "b");
    ASSERT_EQ(zone.store.remove(digest_of("a"), "a"), Status::kOk);
    zone.lives.dead[2] = true;
    EXPECT_GT(zone.store.stats().filling_bytes, 0u);
    zone.store.reap();
    zone.store.sweep(kNow, 1, 1);
    const shm::Stats s = zone.store.stats();
    EXPECT_EQ(s.used_bytes, 0u);
    EXPECT_EQ(s.pins, 0u);
    EXPECT_EQ(s.workers_live, 1u);
    EXPECT_AUDIT(zone.store);
}

TEST(Workers, the_living_are_not_reaped) {
    Zone zone;
    auto two = zone.attach(2);
    const Writer w = half_written(*two, "b");
    zone.store.reap();
    EXPECT_EQ(zone.store.stats().workers_live, 2u);
    Writer writer = w;
    EXPECT_EQ(two->commit(&writer, kNow), Status::kOk);
    EXPECT_EQ(get(zone.store, "b"), pattern(20000, 1));
}

TEST(Workers, a_lock_held_by_the_dead_is_taken_over_and_the_shard_repaired) {
    Zone zone;
    for (uint32_t i = 0; i < 100; i++) {
        ASSERT_EQ(put(zone.store, "k" + std::to_string(i), pattern(2000, i)), Status::kOk);
    }
    auto* z = static_cast<shm::ZoneHeader*>(zone.region.base());
    auto* shard = reinterpret_cast<shm::Shard*>(static_cast<char*>(zone.region.base()) + z->shard_offset[0]);
    shard->lock.owner.store_release(uint64_t{77} << 41 | 1);
    shard->lock.dirty.store_release(1);
    shard->entries = 12345;
    EXPECT_EQ(put(zone.store, "new", "x"), Status::kBusy) << "77 is alive";
    zone.lives.dead[77] = true;
    EXPECT_EQ(put(zone.store, "new", "x"), Status::kOk);
    EXPECT_EQ(zone.store.stats().entries, 101u);
    for (uint32_t i = 0; i < 100; i++) {
        EXPECT_EQ(get(zone.store, "k" + std::to_string(i)), pattern(2000, i));
    }
    EXPECT_AUDIT(zone.store);
}

TEST(Workers, a_repair_keeps_what_is_pinned_and_what_is_being_written) {
    Zone zone;
    auto two = zone.attach(2);
    ASSERT_EQ(put(zone.store, "a", pattern(30000, 7)), Status::kOk);
    Pin pin;
    ASSERT_EQ(two->find(digest_of("a"), "a", &pin), Status::kOk);
    ASSERT_EQ(zone.store.remove(digest_of("a"), "a"), Status::kOk);
    Writer w = half_written(*two, "b");
    auto* z = static_cast<shm::ZoneHeader*>(zone.region.base());
    auto* shard = reinterpret_cast<shm::Shard*>(static_cast<char*>(zone.region.base()) + z->shard_offset[0]);
    shard->lock.dirty.store_release(1);
    for (uint32_t i = 0; i < 1000; i++) {
        ASSERT_EQ(put(zone.store, "k" + std::to_string(i), pattern(9000, i)), Status::kOk);
    }
    EXPECT_EQ(read_body(*two, pin), pattern(30000, 7));
    EXPECT_EQ(two->commit(&w, kNow), Status::kOk);
    EXPECT_EQ(get(*two, "b"), pattern(20000, 1));
    two->unpin(&pin);
    EXPECT_AUDIT(zone.store);
}

// Each thread is a process of its own as far as the store can tell.
TEST(Threads, that_store_read_purge_and_evict_never_see_a_wrong_body) {
    Zone zone(8 << 20);
    constexpr uint32_t kThreads = 4, kKeys = 300, kRounds = 3000;
    std::atomic<uint32_t> wrong{0}, hits{0};
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < kThreads; t++) {
        threads.emplace_back([&, t] {
            Store s;
            if (s.attach(zone.region.base(), zone.region.bytes(), 0, {}) != Status::kOk) {
                wrong++;
                return;
            }
            s.set_liveness(&Lives::ask, &zone.lives);
            if (s.join({t + 10, 1}) != Status::kOk) {
                wrong++;
                return;
            }
            uint32_t x = t + 1;
            for (uint32_t i = 0; i < kRounds; i++) {
                x = base::next_random(x);
                const uint32_t k = x % kKeys;
                const std::string key = "k" + std::to_string(k);
                const std::string body = pattern(100 + k * 97 % 30000, k);
                if (x >> 16 & 3) {
                    const std::string got = get(s, key);
                    wrong += got != "<miss>" && got != "<purged>" && got != body;
                    hits += got == body;
                } else if ((x >> 18 & 15) == 0) {
                    static_cast<void>(s.remove(digest_of(key), key));
                } else if ((x >> 18 & 15) == 1) {
                    const uint64_t fp = fingerprint(key);
                    s.purge(&fp, 1, PurgeMode::kHard);
                } else if ((x >> 18 & 15) == 2) {
                    s.sweep(kNow, i, 500);
                } else {
                    Object o;
                    o.key = key;
                    o.body = body;
                    o.selectors = {fingerprint(key)};
                    o.known_length = (x >> 22 & 1) != 0;
                    static_cast<void>(put(s, o));
                }
            }
            s.leave();
        });
    }
    for (std::thread& t : threads) {
        t.join();
    }
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(hits, 0u);
    EXPECT_AUDIT(zone.store);
}

// A reader in another thread follows an object while it grows, woken by nothing but its own look.
TEST(Threads, a_streaming_reader_gets_every_byte_in_order) {
    Zone zone(16 << 20);
    const std::string body = pattern(600000, 4);
    auto reader = zone.attach(2);
    shm::Ticket ticket, seen;
    ASSERT_EQ(zone.store.lease_acquire(digest_of("a"), 1, 5000, &ticket), shm::LeaseAnswer::kOwned);
    ASSERT_EQ(reader->lease_acquire(digest_of("a"), 1, 5000, &seen), shm::LeaseAnswer::kWait);
    std::string got;
    std::thread thread([&] {
        Pin pin;
        while (reader->lease_pin(seen, digest_of("a"), "a", &pin) != Status::kOk) {
            std::this_thread::yield();
        }
        uint64_t cursor = 0;
        while (!Store::is_complete(pin) || got.size() < Store::body_available(pin)) {
            shm::Segment seg[4];
            const uint32_t n = reader->segments(pin, got.size(), &cursor, seg, 4);
            for (uint32_t i = 0; i < n; i++) {
                got.append(seg[i].data, seg[i].len);
            }
            std::this_thread::yield();
        }
        reader->unpin(&pin);
    });
    Object o;
    o.key = "a";
    o.known_length = false;
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    shm::WakeSet wake;
    zone.store.lease_attach(ticket, w, &wake);
    bool attached = false;
    for (size_t at = 0; at < body.size(); at += 3000) {
        ASSERT_EQ(zone.store.append(&w, base::slice(body, at, 3000), kNow), Status::kOk);
        while (!attached && zone.store.stats().pins == 0) {
            std::this_thread::yield();  // so that the reader surely comes while it grows
        }
        attached = true;
    }
    EXPECT_EQ(zone.store.commit(&w, kNow), Status::kOk);
    zone.store.lease_release(ticket, shm::LeaseState::kPublished, 0, &wake);
    thread.join();
    EXPECT_EQ(got, body);
    EXPECT_AUDIT(zone.store);
}

TEST(Threads, of_many_only_one_owns_a_key_at_a_time) {
    Zone zone;
    std::atomic<uint32_t> owners{0}, overlaps{0}, granted{0};
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            auto s = std::make_unique<Store>();
            if (s->attach(zone.region.base(), zone.region.bytes(), 0, {}) != Status::kOk) {
                return;
            }
            s->set_liveness(&Lives::ask, &zone.lives);
            if (s->join({t + 10, 1}) != Status::kOk) {
                return;
            }
            for (uint32_t i = 0; i < 2000; i++) {
                shm::Ticket ticket;
                shm::WakeSet wake;
                if (s->lease_acquire(digest_of("a"), 1, 5000, &ticket) == shm::LeaseAnswer::kOwned) {
                    overlaps += owners.fetch_add(1) != 0;
                    granted++;
                    owners--;
                    s->lease_release(ticket, shm::LeaseState::kPublished, 0, &wake);
                }
            }
            s->leave();
        });
    }
    for (std::thread& t : threads) {
        t.join();
    }
    EXPECT_EQ(overlaps, 0u);
    EXPECT_GT(granted, 0u);
}

}  // namespace
}  // namespace slab_cache::test
