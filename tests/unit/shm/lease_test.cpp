// One fill per key: who may ask the origin, who waits, who is woken, who may overtake.
#include <gtest/gtest.h>

#include "shm/layout.h"
#include "shm/worker.h"
#include "support/expect_audit.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using shm::LeaseAnswer;
using shm::LeaseState;
using shm::Pin;
using shm::Ticket;
using shm::WakeSet;
using shm::Writer;

constexpr uint32_t kSilence = 5000;

class Lease : public ::testing::Test {
protected:
    Zone zone;
    std::unique_ptr<Store> other = zone.attach(2);
    Store& owner = zone.store;
    Digest key = digest_of("a");
    Ticket mine, theirs;
    WakeSet wake;

    void take() { ASSERT_EQ(owner.lease_acquire(key, 1000, kSilence, &mine), LeaseAnswer::kOwned); }
    bool woken(uint32_t worker) const { return (wake.bits[worker / 64] >> (worker % 64) & 1) != 0; }
};

TEST_F(Lease, only_one_process_owns_a_key) {
    take();
    EXPECT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    EXPECT_EQ(theirs.cell, mine.cell);
    EXPECT_EQ(theirs.gen, mine.gen);
    Ticket third;
    EXPECT_EQ(other->lease_acquire(digest_of("b"), 1000, kSilence, &third), LeaseAnswer::kOwned);
}

TEST_F(Lease, a_watcher_is_woken_by_the_end_and_reads_the_outcome) {
    take();
    ASSERT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    EXPECT_EQ(other->lease_watch(theirs, 1001, kSilence).state, LeaseState::kFetching);
    owner.lease_release(mine, LeaseState::kPrivate, 42, &wake);
    EXPECT_TRUE(woken(other->worker_index()));
    EXPECT_FALSE(woken(owner.worker_index()));
    const shm::LeaseView view = other->lease_watch(theirs, 1002, kSilence);
    EXPECT_EQ(view.state, LeaseState::kPrivate);
    EXPECT_EQ(view.detail, 42u);
}

TEST_F(Lease, a_watcher_that_comes_after_the_end_sees_it_at_once) {
    take();
    ASSERT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    owner.lease_release(mine, LeaseState::kFailed, 502, &wake);
    EXPECT_FALSE(wake.any());
    EXPECT_EQ(other->lease_watch(theirs, 1002, kSilence).state, LeaseState::kFailed);
}

TEST_F(Lease, progress_wakes_and_keeps_the_lease_alive) {
    take();
    EXPECT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    EXPECT_EQ(other->lease_watch(theirs, 1001, kSilence).state, LeaseState::kFetching);
    owner.lease_progress(mine, 6000, &wake);
    EXPECT_TRUE(woken(other->worker_index()));
    EXPECT_EQ(other->lease_watch(theirs, 7000, kSilence).state, LeaseState::kFetching);
}

TEST_F(Lease, a_silent_owner_is_overtaken_and_can_do_no_more_harm) {
    take();
    ASSERT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    EXPECT_EQ(other->lease_watch(theirs, 6001, kSilence).state, LeaseState::kSilent);
    ASSERT_EQ(other->lease_acquire(key, 6001, kSilence, &theirs), LeaseAnswer::kOwned);
    owner.lease_progress(mine, 20000, &wake);
    owner.lease_release(mine, LeaseState::kPublished, 0, &wake);
    EXPECT_EQ(owner.lease_watch(mine, 6002, kSilence).state, LeaseState::kGone);
    EXPECT_EQ(other->lease_watch(theirs, 6002, kSilence).state, LeaseState::kFetching);
}

TEST_F(Lease, a_dead_owner_is_overtaken_long_before_the_silence_is_over) {
    take();
    ASSERT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    zone.lives.dead[1] = true;
    EXPECT_EQ(other->lease_watch(theirs, 1300, kSilence).state, LeaseState::kSilent);
    EXPECT_EQ(other->lease_acquire(key, 1300, kSilence, &theirs), LeaseAnswer::kOwned);
}

TEST_F(Lease, a_silent_owner_is_told_from_a_dead_one) {
    take();
    ASSERT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    shm::LeaseView view = other->lease_watch(theirs, 7000, kSilence);
    EXPECT_EQ(view.state, LeaseState::kSilent);
    EXPECT_EQ(view.detail, 0u);
    zone.lives.dead[1] = true;
    view = other->lease_watch(theirs, 7000, kSilence);
    EXPECT_EQ(view.state, LeaseState::kSilent);
    EXPECT_EQ(view.detail, 1u);
}

// Until its leases are abandoned the record bears its reaper's name.
TEST_F(Lease, an_owner_who_is_being_reaped_is_dead) {
    take();
    ASSERT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    auto* z = static_cast<shm::ZoneHeader*>(zone.region.base());
    auto* record = reinterpret_cast<shm::WorkerRecord*>(static_cast<char*>(zone.region.base()) + z->workers_offset +
                                                        uint64_t{owner.worker_index()} * z->worker_bytes);
    record->owner.store_release(shm::identity_word({2, 1002}) | shm::kReapingBit);
    EXPECT_EQ(other->lease_watch(theirs, 1300, kSilence).state, LeaseState::kSilent);
}

TEST_F(Lease, a_growing_object_is_told_from_one_that_ended) {
    Object o;
    o.key = "a";
    o.body = "body";
    Writer w;
    ASSERT_EQ(owner.begin(describe(o, owner.birth_stamp()), kNow, &w), Status::kOk);
    Pin pin = owner.pin_writer(w);
    EXPECT_TRUE(Store::is_filling(pin));
    ASSERT_EQ(owner.append(&w, o.body, kNow), Status::kOk);
    ASSERT_EQ(owner.commit(&w, kNow), Status::kOk);
    EXPECT_FALSE(Store::is_filling(pin));
    owner.unpin(&pin);
    ASSERT_EQ(owner.begin(describe(o, owner.birth_stamp()), kNow, &w), Status::kOk);
    pin = owner.pin_writer(w);
    owner.abort(&w);
    EXPECT_FALSE(Store::is_filling(pin));
    owner.unpin(&pin);
}

TEST_F(Lease, reaping_a_dead_owner_frees_its_leases) {
    take();
    ASSERT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    zone.lives.dead[1] = true;
    other->reap();
    EXPECT_EQ(other->lease_watch(theirs, 1001, kSilence).state, LeaseState::kSilent);
    EXPECT_EQ(other->lease_acquire(key, 1001, kSilence, &theirs), LeaseAnswer::kOwned);
}

TEST_F(Lease, a_growing_object_can_be_read_through_its_lease) {
    take();
    ASSERT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    Object o;
    o.key = "a";
    o.known_length = false;
    Writer w;
    ASSERT_EQ(owner.begin(describe(o, owner.birth_stamp()), kNow, &w), Status::kOk);
    Pin pin;
    EXPECT_EQ(other->lease_pin(theirs, key, "a", &pin), Status::kMiss);
    owner.lease_attach(mine, w, &wake);
    EXPECT_EQ(other->lease_watch(theirs, 1001, kSilence).state, LeaseState::kStreaming);
    const std::string body = pattern(30000, 5);
    ASSERT_EQ(owner.append(&w, base::slice(body, 0, 10000), kNow), Status::kOk);
    ASSERT_EQ(other->lease_pin(theirs, key, "a", &pin), Status::kOk);
    EXPECT_EQ(read_body(*other, pin), body.substr(0, 10000));
    ASSERT_EQ(owner.append(&w, base::slice(body, 10000), kNow), Status::kOk);
    ASSERT_EQ(owner.commit(&w, kNow), Status::kOk);
    owner.lease_release(mine, LeaseState::kPublished, 0, &wake);
    EXPECT_TRUE(Store::is_complete(pin));
    EXPECT_EQ(read_body(*other, pin), body);
    other->unpin(&pin);
    EXPECT_EQ(other->lease_pin(theirs, key, "a", &pin), Status::kMiss);
    EXPECT_EQ(get(*other, "a"), body);
    EXPECT_AUDIT(owner);
}

TEST_F(Lease, nobody_joins_what_a_dead_owner_began) {
    take();
    ASSERT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    Object o;
    o.key = "a";
    o.known_length = false;
    Writer w;
    ASSERT_EQ(owner.begin(describe(o, owner.birth_stamp()), kNow, &w), Status::kOk);
    owner.lease_attach(mine, w, &wake);
    zone.lives.dead[1] = true;
    Pin pin;
    EXPECT_EQ(other->lease_watch(theirs, 1020, kSilence).state, LeaseState::kStreaming);
    EXPECT_EQ(other->lease_pin(theirs, key, "a", &pin, 1020), Status::kMiss);
    EXPECT_EQ(other->lease_pin(theirs, key, "a", &pin, 1000), Status::kMiss);  // also right behind its progress
    zone.lives.dead[1] = false;
    EXPECT_EQ(other->lease_pin(theirs, key, "a", &pin, 1020), Status::kOk);
    other->unpin(&pin);
    owner.abort(&w);
    owner.lease_release(mine, LeaseState::kFailed, 0, &wake);
}

TEST_F(Lease, an_aborted_growing_object_stays_readable_for_who_reads_it) {
    take();
    ASSERT_EQ(other->lease_acquire(key, 1000, kSilence, &theirs), LeaseAnswer::kWait);
    Object o;
    o.key = "a";
    o.known_length = false;
    Writer w;
    ASSERT_EQ(owner.begin(describe(o, owner.birth_stamp()), kNow, &w), Status::kOk);
    owner.lease_attach(mine, w, &wake);
    ASSERT_EQ(owner.append(&w, pattern(9000, 1), kNow), Status::kOk);
    Pin pin;
    ASSERT_EQ(other->lease_pin(theirs, key, "a", &pin), Status::kOk);
    owner.abort(&w);
    owner.lease_release(mine, LeaseState::kFailed, 0, &wake);
    for (uint32_t i = 0; i < 3000; i++) {
        ASSERT_EQ(put(owner, "k" + std::to_string(i), pattern(5000, i)), Status::kOk);
    }
    EXPECT_EQ(read_body(*other, pin), pattern(9000, 1));
    EXPECT_FALSE(Store::is_complete(pin));
    EXPECT_EQ(owner.stats().filling_bytes, 0u);
    other->unpin(&pin);
    EXPECT_AUDIT(owner);
}

TEST_F(Lease, a_streamed_small_object_is_compacted_when_nobody_reads_it) {
    take();
    Object o;
    o.key = "a";
    o.known_length = false;
    Writer w;
    ASSERT_EQ(owner.begin(describe(o, owner.birth_stamp()), kNow, &w), Status::kOk);
    owner.lease_attach(mine, w, &wake);
    ASSERT_EQ(owner.append(&w, pattern(1000, 1), kNow), Status::kOk);
    ASSERT_EQ(owner.commit(&w, kNow), Status::kOk);
    EXPECT_LE(owner.stats().used_bytes, 1300u);
    EXPECT_EQ(get(owner, "a"), pattern(1000, 1));
    EXPECT_AUDIT(owner);
}

TEST_F(Lease, a_full_set_of_cells_means_a_fill_without_a_lease) {
    uint32_t unavailable = 0;
    for (uint32_t i = 0; i < 200; i++) {
        Ticket t;
        unavailable +=
            owner.lease_acquire(digest_of("k" + std::to_string(i)), 1000, kSilence, &t) == LeaseAnswer::kUnavailable;
    }
    EXPECT_GT(unavailable, 0u);
}

TEST(Marks, are_seen_until_they_end) {
    Zone zone;
    const Digest d = digest_of("a");
    EXPECT_EQ(zone.store.mark_get(d, kNow), 0);
    zone.store.mark_set(d, 9, kNow + 5);
    EXPECT_EQ(zone.store.mark_get(d, kNow + 4), 9);
    EXPECT_EQ(zone.store.mark_get(d, kNow + 5), 0);
    EXPECT_EQ(zone.store.mark_get(digest_of("b"), kNow), 0);
    zone.store.mark_set(d, 0, 0);
    EXPECT_EQ(zone.store.mark_get(d, kNow), 0);
}

// Else a failing origin would be left in peace, and stale content served, until the clock has caught up.
TEST(Marks, end_when_the_clock_is_set_back) {
    Zone zone;
    zone.store.mark_set(digest_of("a"), 3, kNow + 10);
    EXPECT_EQ(zone.store.mark_get(digest_of("a"), kNow - 3600), 0u);
    EXPECT_EQ(zone.store.mark_get(digest_of("a"), kNow), 3u);
}

TEST(Uses, are_counted_per_key_up_to_fifteen) {
    Zone zone;
    for (uint32_t i = 1; i <= 20; i++) {
        EXPECT_EQ(zone.store.bump_uses(digest_of("a")), i < 15 ? i : 15);
    }
    EXPECT_EQ(zone.store.bump_uses(digest_of("b")), 1u);
}

TEST(Uses, are_forgotten_after_many_other_misses) {
    Zone zone;
    EXPECT_EQ(zone.store.bump_uses(digest_of("a")), 1u);
    for (uint32_t i = 0; i < 60000; i++) {
        zone.store.bump_uses(digest_of("k" + std::to_string(i)));
    }
    EXPECT_EQ(zone.store.bump_uses(digest_of("a")), 1u);
}

}  // namespace
}  // namespace slab_cache::test
