// What a process leaves behind when it dies or leaves at a bad moment, and what must not be made of it.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/counters.h"
#include "shm/layout.h"
#include "shm/lock.h"
#include "shm/purge.h"
#include "shm/worker.h"
#include "shm/zone_plan.h"
#include "support/expect_audit.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using shm::PurgeMode;
using shm::Writer;

// The zone from behind: what a test must write to stand where a death would have left things.
struct Inside {
    shm::Context c;
    explicit Inside(const Zone& zone) {
        c.base = static_cast<char*>(zone.region.base());
        c.bytes = zone.region.bytes();
        c.zone = reinterpret_cast<shm::ZoneHeader*>(c.base);
        c.geo = shm::geometry_of(*c.zone, *reinterpret_cast<shm::Shard*>(c.base + c.zone->shard_offset[0]));
    }
    base::Atom<uint32_t>& unfinished(uint32_t worker, uint32_t place) const {
        return shm::unfinished_cells(c, shm::worker_record(c, worker))[place];
    }
    void die_holding(shm::RobustLock* lock, uint32_t pid) const {
        lock->owner.store_release(shm::identity_word({pid, 1000 + pid}));
        lock->dirty.store_release(1);
    }
};

Object tagged(const std::string& key, const std::string& tag) {
    Object o;
    o.key = key;
    o.body = "body";
    o.selectors.push_back(fingerprint(tag));
    return o;
}

uint32_t ref_of(Store& store, const std::string& key) {
    shm::Pin pin;
    static_cast<void>(store.find(digest_of(key), key, &pin));
    const uint32_t ref = pin.ref;
    store.unpin(&pin);
    return ref;
}

// Dead between the store into the index and the emptying of its place in unfinished[].
void die_having_published(Zone* zone, Store* victim, const std::string& key) {
    const Inside in(*zone);
    in.unfinished(victim->worker_index(), 0).store_release(ref_of(*victim, key));
    in.die_holding(&shm::shard_at(in.c, 0)->lock, 2);
    zone->lives.dead[2] = true;
}

TEST(Death, a_dead_workers_place_in_fill_does_not_outlive_its_object) {
    Zone zone;
    auto victim = zone.attach(2);
    ASSERT_EQ(put(*victim, "a", pattern(700, 1)), Status::kOk);
    const uint32_t ref = ref_of(*victim, "a");
    die_having_published(&zone, victim.get(), "a");
    ASSERT_EQ(zone.store.remove(digest_of("a"), "a"), Status::kOk);  // repairs first
    EXPECT_EQ(Inside(zone).unfinished(victim->worker_index(), 0).load_acquire(), 0u);
    EXPECT_NE(ref, 0u);
}

TEST(Death, reaping_a_dead_worker_does_not_take_the_fill_of_a_live_one) {
    Zone zone;
    auto victim = zone.attach(2);
    ASSERT_EQ(put(*victim, "a", pattern(700, 1)), Status::kOk);
    const uint32_t ref = ref_of(*victim, "a");
    die_having_published(&zone, victim.get(), "a");
    ASSERT_EQ(zone.store.remove(digest_of("a"), "a"), Status::kOk);
    zone.store.sweep(kNow, 1, 1);  // frees it
    Object o;
    o.key = "b";
    o.body = pattern(700, 2);
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    ASSERT_EQ(w.ref, ref) << "the test wants the dead one's place to be used again";
    zone.store.reap();
    ASSERT_EQ(zone.store.append(&w, o.body, kNow), Status::kOk);
    EXPECT_EQ(zone.store.commit(&w, kNow), Status::kOk);
    EXPECT_EQ(get(zone.store, "b"), o.body);
    EXPECT_AUDIT(zone.store);
}

TEST(Death, a_writer_whose_fill_was_taken_from_it_publishes_nothing) {
    Zone zone;
    Object o;
    o.key = "b";
    o.body = pattern(700, 2);
    Writer w;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &w), Status::kOk);
    ASSERT_EQ(zone.store.append(&w, o.body, kNow), Status::kOk);
    Inside(zone).unfinished(zone.store.worker_index(), w.place).store_release(0);
    EXPECT_EQ(zone.store.commit(&w, kNow), Status::kCorrupt);
    EXPECT_EQ(get(zone.store, "b"), "<miss>");
}

// Dead between the record and the counter of a purge.
void die_purging(const Zone& zone) {
    const Inside in(zone);
    in.die_holding(&in.c.zone->purge_lock, 2);
    in.c.zone->all_hard.store_release(in.c.zone->purge_seq.load_relaxed() + 1);
}

TEST(Death, of_a_purger_is_mended_by_the_next_reap) {
    Zone zone;
    auto victim = zone.attach(2);
    die_purging(zone);
    zone.lives.dead[2] = true;
    zone.store.reap();
    EXPECT_EQ(put(zone.store, "a", "body"), Status::kOk);
    EXPECT_AUDIT(zone.store);
}

TEST(Death, of_a_purger_is_mended_by_the_next_process_that_joins) {
    Zone zone;
    auto victim = zone.attach(2);
    die_purging(zone);
    zone.lives.dead[2] = true;
    auto next = zone.attach(3);
    EXPECT_EQ(put(*next, "a", "body"), Status::kOk);
}

TEST(Death, of_a_purger_is_not_assumed_while_it_lives) {
    Zone zone;
    auto purger = zone.attach(2);
    die_purging(zone);
    const uint64_t before = zone.store.purge_seq();
    zone.store.reap();
    EXPECT_EQ(zone.store.purge_seq(), before);
}

// A purger stopped between the record and the counter, for as long as it pleases.
TEST(StoppedPurger, keeps_others_waiting_for_no_more_than_a_moment) {
    Zone zone;
    auto purger = zone.attach(2);
    die_purging(zone);
    const uint64_t fp = fingerprint("x");
    EXPECT_EQ(zone.store.purge(&fp, 1, shm::PurgeMode::kHard), 0u);
    EXPECT_EQ(zone.store.purge_all(shm::PurgeMode::kSoft), 0u);
    EXPECT_EQ(zone.store.advance(), 0u);
}

TEST(StoppedPurger, does_not_keep_a_purge_of_everything_from_those_who_must) {
    Zone zone;
    auto purger = zone.attach(2);
    ASSERT_EQ(put(zone.store, "a", "old"), Status::kOk);
    die_purging(zone);
    EXPECT_GT(zone.store.purge_all_now(shm::PurgeMode::kHard), 0u);
    EXPECT_EQ(get(zone.store, "a"), "<purged>");
    EXPECT_EQ(put(zone.store, "a", "new"), Status::kOk);
    EXPECT_EQ(get(zone.store, "a"), "new");
}

TEST(StoppedPurger, that_goes_on_purges_what_was_born_meanwhile_too) {
    Zone zone;
    shm::Context c = Inside(zone).c;
    uint64_t seq = 0;
    ASSERT_TRUE(shm::lock_purges(&c, &seq));
    auto other = zone.attach(2);
    EXPECT_EQ(other->purge_all_now(shm::PurgeMode::kHard), seq);
    ASSERT_EQ(put(*other, tagged("a", "x")), Status::kOk);
    shm::write_record_locked(c, shm::RecordTable::kPurges, fingerprint("x") & ~uint64_t{1}, seq);
    const uint64_t counts = shm::publish_purge_locked(c, seq);
    shm::unlock_purges(&c);
    EXPECT_GT(counts, seq);
    EXPECT_EQ(get(*other, "a"), "<purged>");
    EXPECT_EQ(put(*other, tagged("a", "x")), Status::kOk);
    EXPECT_EQ(zone.store.purge_seq(), counts);
    EXPECT_AUDIT(zone.store);
}

TEST(StoppedPurger, who_died_before_everything_counted_as_purged_is_helped_on) {
    Zone zone;
    const Inside in(zone);
    in.c.zone->all_hard.store_release(in.c.zone->purge_seq.load_relaxed() + 1);
    zone.store.reap();
    EXPECT_EQ(put(zone.store, "a", "body"), Status::kOk);
}

TEST(Liveness, is_not_doubted_for_lack_of_file_descriptors) {
    shm::WorkerId me;
    me.pid = static_cast<uint32_t>(getpid());
    ASSERT_TRUE(shm::read_start_time(me.pid, &me.start_time));
    const pid_t child = fork();
    if (child == 0) {
        const rlimit none = {0, 0};
        const bool no_files = setrlimit(RLIMIT_NOFILE, &none) == 0 && dup(0) < 0;
        _exit(!no_files ? 2 : shm::is_alive({}, shm::identity_word(me)) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Liveness, of_a_process_without_start_time_is_that_of_its_pid) {
    EXPECT_TRUE(shm::is_alive({}, shm::identity_word({static_cast<uint32_t>(getpid()), 0})));
}

TEST(Liveness, ends_with_the_process_or_with_its_pids_next_tenant) {
    const pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    shm::WorkerId id;
    id.pid = static_cast<uint32_t>(child);
    ASSERT_TRUE(shm::read_start_time(id.pid, &id.start_time));
    EXPECT_TRUE(shm::is_alive({}, shm::identity_word(id)));
    EXPECT_FALSE(shm::is_alive({}, shm::identity_word({id.pid, id.start_time + 1})));
    kill(child, SIGKILL);
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
    EXPECT_FALSE(shm::is_alive({}, shm::identity_word(id))) << "a zombie";
    waitpid(child, nullptr, 0);
    EXPECT_FALSE(shm::is_alive({}, shm::identity_word(id)));
    EXPECT_FALSE(shm::is_alive({}, shm::identity_word({id.pid, 0})));
}

TEST(Leaving, with_a_pin_keeps_the_record_until_the_process_is_gone) {
    Zone zone;
    auto two = zone.attach(2);
    ASSERT_EQ(put(zone.store, "a", pattern(5000, 1)), Status::kOk);
    shm::Pin pin;
    ASSERT_EQ(two->find(digest_of("a"), "a", &pin), Status::kOk);
    two->leave();
    EXPECT_FALSE(two->joined());
    EXPECT_EQ(zone.store.stats().pins, 1u) << "still read";
    zone.store.reap();
    EXPECT_EQ(zone.store.stats().workers_live, 2u);
    zone.lives.dead[2] = true;
    zone.store.reap();
    EXPECT_EQ(zone.store.stats().workers_live, 1u);
    EXPECT_EQ(zone.store.stats().pins, 0u);
}

TEST(Leaving, with_fills_behind_a_held_lock_leaves_them_to_the_reaper) {
    Zone zone;
    auto two = zone.attach(2);
    Object o;
    o.key = "b";
    o.body = pattern(700, 2);
    Writer w;
    ASSERT_EQ(two->begin(describe(o, two->birth_stamp()), kNow, &w), Status::kOk);
    const uint32_t record = two->worker_index();
    const Inside in(zone);
    shm::Shard* shard = shm::shard_at(in.c, 0);
    shard->lock.owner.store_release(shm::identity_word({77, 1}));
    two->leave();
    shard->lock.owner.store_release(0);
    auto three = zone.attach(3);
    EXPECT_NE(three->worker_index(), record) << "would inherit the fill";
    zone.lives.dead[2] = true;
    zone.store.reap();
    EXPECT_EQ(zone.store.stats().workers_live, 2u);
    EXPECT_EQ(zone.store.stats().filling_bytes, 0u);
    EXPECT_AUDIT(zone.store);
}

TEST(Death, wakes_who_waits_for_the_dead) {
    Zone zone;
    auto owner = zone.attach(2);
    shm::Ticket mine, theirs;
    ASSERT_EQ(owner->lease_acquire(digest_of("a"), 1000, 5000, &mine), shm::LeaseAnswer::kOwned);
    ASSERT_EQ(zone.store.lease_acquire(digest_of("a"), 1000, 5000, &theirs), shm::LeaseAnswer::kWait);
    ASSERT_EQ(zone.store.lease_watch(theirs, 1001, 5000).state, shm::LeaseState::kFetching);
    zone.lives.dead[2] = true;
    auto reaper = zone.attach(3);
    shm::WakeSet wake;
    reaper->reap(&wake);
    EXPECT_EQ(wake.bits[0], uint64_t{1} << zone.store.worker_index());
}

TEST(Overtaken, a_release_that_came_too_late_still_wakes_who_waits) {
    Zone zone;
    auto other = zone.attach(2);
    shm::Ticket mine, theirs;
    ASSERT_EQ(zone.store.lease_acquire(digest_of("a"), 1000, 5000, &mine), shm::LeaseAnswer::kOwned);
    ASSERT_EQ(other->lease_acquire(digest_of("a"), 1000, 5000, &theirs), shm::LeaseAnswer::kWait);
    ASSERT_EQ(other->lease_watch(theirs, 1001, 5000).state, shm::LeaseState::kFetching);
    ASSERT_EQ(zone.store.lease_acquire(digest_of("a"), 7000, 5000, &theirs), shm::LeaseAnswer::kOwned);
    shm::WakeSet wake;
    zone.store.lease_release(mine, shm::LeaseState::kPublished, 0, &wake);
    EXPECT_TRUE(wake.any());
}

// What an unsafe request's answer brings is born at the purge that it is itself, and was asked for before.
TEST(Overtaken, a_store_is_as_late_as_it_was_asked_for_however_young_its_birth) {
    Zone zone;
    const uint64_t name = fingerprint("a");
    Object o;
    o.key = "a";
    o.body = "old";
    o.selectors = {name};
    const uint64_t asked = zone.store.birth_stamp();
    for (const bool is_purged : {false, true}) {
        shm::NewEntry what = describe(o, zone.store.purge(&name, 1, PurgeMode::kHard));
        what.asked = asked;
        Writer late;
        if (is_purged) {  // what stands in its way was asked for later, and is purged
            ASSERT_EQ(zone.store.remove(what.digest, what.key), Status::kOk);
            Object other = o;
            other.body = "new";
            other.selectors = {fingerprint("b")};
            ASSERT_EQ(put(zone.store, other), Status::kOk);
            zone.store.purge(other.selectors.data(), 1, PurgeMode::kHard);
        }
        ASSERT_EQ(zone.store.begin(what, kNow, &late), Status::kOk);
        ASSERT_EQ(zone.store.append(&late, o.body, kNow), Status::kOk);
        if (!is_purged) {
            ASSERT_EQ(put(zone.store, "a", "new"), Status::kOk);
        }
        EXPECT_EQ(zone.store.commit(&late, kNow), Status::kOk);
        EXPECT_EQ(get(zone.store, "a"), is_purged ? "old" : "new");
    }
    EXPECT_AUDIT(zone.store);
}

TEST(Overtaken, a_late_store_does_not_replace_one_born_after_a_purge) {
    Zone zone;
    Object o;
    o.key = "a";
    o.body = "old";
    Writer late;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &late), Status::kOk);
    ASSERT_EQ(zone.store.append(&late, o.body, kNow), Status::kOk);
    const uint64_t other = fingerprint("something else");
    zone.store.purge(&other, 1, PurgeMode::kHard);
    ASSERT_EQ(put(zone.store, "a", "new"), Status::kOk);
    EXPECT_EQ(zone.store.commit(&late, kNow), Status::kOk);
    EXPECT_EQ(get(zone.store, "a"), "new");
    EXPECT_EQ(zone.store.counter_sum(static_cast<uint32_t>(shm::Counter::kOutrun)), 1u);
    EXPECT_EQ(zone.store.stats().filling_bytes, 0u);
    EXPECT_AUDIT(zone.store);
}

TEST(Overtaken, a_late_store_does_not_replace_one_that_was_found_valid_against_later_purges) {
    Zone zone;
    Object o;
    o.key = "a";
    o.body = "old";
    Writer late;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow + 5, &late), Status::kOk);
    ASSERT_EQ(zone.store.append(&late, o.body, kNow + 5), Status::kOk);
    ASSERT_GT(zone.store.advance(), 0u);
    ASSERT_EQ(put(zone.store, "a", "pushed"), Status::kOk);
    const uint64_t raised = zone.store.advance();
    shm::Pin pin;
    ASSERT_EQ(zone.store.find(digest_of("a"), "a", &pin), Status::kOk);
    ASSERT_EQ(zone.store.refresh(pin, kNow + 100, kNow + 100, raised), Status::kOk);
    zone.store.unpin(&pin);
    EXPECT_EQ(zone.store.commit(&late, kNow + 5), Status::kOk);
    EXPECT_EQ(get(zone.store, "a"), "pushed");
}

TEST(Overtaken, a_late_store_takes_the_place_of_what_is_of_no_use_any_more) {
    Zone zone;
    Object o;
    o.key = "a";
    o.body = "late";
    Writer late;
    ASSERT_EQ(zone.store.begin(describe(o, zone.store.birth_stamp()), kNow, &late), Status::kOk);
    ASSERT_EQ(zone.store.append(&late, o.body, kNow), Status::kOk);
    const uint64_t other = fingerprint("something else");
    zone.store.purge(&other, 1, PurgeMode::kHard);
    Object over = o;
    over.body = "over";
    over.fresh = over.stale = kNow - 1;
    ASSERT_EQ(put(zone.store, over), Status::kOk);
    EXPECT_EQ(zone.store.commit(&late, kNow), Status::kOk);
    EXPECT_EQ(get(zone.store, "a"), "late");
}

}  // namespace
}  // namespace slab_cache::test
