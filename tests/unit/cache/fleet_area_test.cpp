// What a zone knows of its fleet: outbox, lease, position, births, doubt, nodes.
#include "cache/fleet_area.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace slab_cache::cache {
namespace {

struct Area {
    Area() : area(static_cast<FleetArea*>(std::aligned_alloc(64, sizeof(FleetArea)))) {
        std::memset(static_cast<void*>(area), 0, sizeof(FleetArea));
        EXPECT_EQ(fleet_area(area), area);
    }
    ~Area() { std::free(area); }
    FleetArea* operator->() const { return area; }
    FleetArea* area;
    Outbox outbox() const { return Outbox(&area->outbox); }
    OutboxPlace put(const std::string& text, uint64_t seq = 1, uint64_t now = 1) const {
        const Bytes one[] = {text};
        OutboxPlace place;
        EXPECT_TRUE(outbox().put(one, 1, seq, now, &place));
        return place;
    }
    // Sends the next record as `id`.
    std::string send(const StreamId& id) const {
        OutboxRecord r;
        Outbox box = outbox();
        if (!box.read(box.tail(), &r)) {
            return "<none>";
        }
        const std::string text(r.text);
        box.note_sent(r, id);
        return text;
    }
};

TEST(FleetArea, of_another_version_is_none) {
    Area a;
    a->version.store_relaxed(kFleetVersion + 1);
    EXPECT_EQ(fleet_area(a.area), nullptr);
}

TEST(Outbox, records_come_out_in_order_and_once) {
    Area a;
    EXPECT_EQ(a.send({1, 0}), "<none>");
    a.put("a");
    a.put("b");
    EXPECT_EQ(a.outbox().waiting(), 2u);
    EXPECT_EQ(a.send({1, 0}), "a");
    EXPECT_EQ(a.send({2, 0}), "b");
    EXPECT_EQ(a.send({3, 0}), "<none>");
    EXPECT_EQ(a.outbox().waiting(), 0u);
}

TEST(Outbox, tells_what_became_of_a_record) {
    Area a;
    const OutboxPlace first = a.put("a");
    const OutboxPlace second = a.put("b");
    StreamId id;
    EXPECT_FALSE(a.outbox().is_sent(first.number));
    EXPECT_FALSE(a.outbox().id_of(first, &id));
    (void) a.send({7, 3});
    EXPECT_TRUE(a.outbox().is_sent(first.number) && !a.outbox().is_sent(second.number));
    ASSERT_TRUE(a.outbox().id_of(first, &id));
    EXPECT_TRUE(id == (StreamId{7, 3}));
}

TEST(Outbox, goes_round_with_records_of_all_sizes) {
    Area a;
    uint32_t random = 1;
    std::vector<std::string> sent, got;
    for (int i = 0; i < 20000; i++) {
        random = random * 1664525 + 1013904223;
        if ((random >> 16) % 2 == 0) {
            const std::string text((random >> 8) % 3000, static_cast<char>('a' + i % 26));
            const Bytes one[] = {text};
            OutboxPlace place;
            if (a.outbox().put(one, 1, 1, 1, &place)) {
                sent.push_back(text);
            }
        } else if (const std::string text = a.send({static_cast<uint64_t>(i) + 1, 0}); text != "<none>") {
            got.push_back(text);
        }
        ASSERT_TRUE(a.outbox().start() <= a.outbox().tail() && a.outbox().tail() <= a.outbox().head() &&
                    a.outbox().head() - a.outbox().start() <= kOutboxBytes);
    }
    for (std::string text = a.send({99999, 0}); text != "<none>"; text = a.send({99999, 0})) {
        got.push_back(text);
    }
    EXPECT_EQ(sent, got);
    EXPECT_GT(sent.size(), 5000u);
}

TEST(Outbox, what_does_not_fit_counts_as_missed_and_nothing_of_it_is_there) {
    Area a;
    const std::string big(kMaxRecordText, 'x');
    for (int i = 0; i < 4; i++) {
        a.put(big);
    }
    const Bytes two[] = {"small", big};
    OutboxPlace place;
    EXPECT_FALSE(a.outbox().put(two, 2, 9, 1, &place));
    EXPECT_EQ(a.outbox().untold(), 1u);
    EXPECT_EQ(a.outbox().waiting(), 4u);
    (void) a.send({1, 0});
    a.put("fits now");
    const std::string too_long(kMaxRecordText + 1, 'x');
    const Bytes one[] = {too_long};
    EXPECT_FALSE(a.outbox().put(one, 1, 9, 1, &place));
    EXPECT_FALSE(a.outbox().put(nullptr, 0, 9, 1, &place));  // what could not be said at all
    EXPECT_EQ(a.outbox().untold(), 3u);
    const uint64_t missed = a.outbox().missed();
    a.outbox().miss();
    a.outbox().note_told(missed, {5, 0});
    EXPECT_EQ(a.outbox().untold(), 1u);  // the one that came meanwhile
}

TEST(Outbox, keeps_what_was_sent_until_the_room_is_needed) {
    Area a;
    a.put("first");
    (void) a.send({1, 0});
    OutboxRecord r;
    ASSERT_TRUE(a.outbox().read(a.outbox().start(), &r));
    EXPECT_EQ(r.text, "first");
    EXPECT_TRUE(r.id == (StreamId{1, 0}));
    a.outbox().note_id(r, {9, 0});  // it was lost, and sent again
    ASSERT_TRUE(a.outbox().read(a.outbox().start(), &r));
    EXPECT_TRUE(r.id == (StreamId{9, 0}));
    const std::string text(1000, 'y');
    for (int i = 0; i < 300; i++) {
        a.put(text);
        (void) a.send({10, static_cast<uint64_t>(i)});
    }
    ASSERT_TRUE(a.outbox().read(a.outbox().start(), &r));
    EXPECT_NE(r.text, "first");
    EXPECT_EQ(a.outbox().untold(), 0u);
}

TEST(Outbox, a_holder_that_was_overtaken_changes_nothing) {
    Area a;
    a.put("a");
    a.put("b");
    Outbox box = a.outbox();
    OutboxRecord first;
    ASSERT_TRUE(box.read(box.tail(), &first));
    (void) a.send({1, 0});
    (void) a.send({2, 0});
    box.note_sent(first, {3, 0});  // the one that was stopped
    StreamId id;
    EXPECT_TRUE(box.id_of({first.number, first.at}, &id) && id == (StreamId{1, 0}));
    EXPECT_EQ(box.tail(), box.head());
}

TEST(Outbox, nonsense_empties_it_and_is_missed) {
    for (const size_t at : {size_t{0}, size_t{4}, offsetof(OutboxHead, text_bytes)}) {
        Area a;
        a.put("a");
        a.put("b");
        a->outbox.bytes[at] = static_cast<char>(0xff);
        OutboxRecord r;
        Outbox box = a.outbox();
        EXPECT_FALSE(box.read(box.tail(), &r));
        EXPECT_TRUE(box.check(box.tail()));
        EXPECT_EQ(box.untold(), 1u);
        EXPECT_EQ(box.tail(), box.head());
        a.put("c");
        EXPECT_EQ(a.send({1, 0}), "c");
        EXPECT_FALSE(box.check(box.tail()));
    }
}

bool never_gone(uint64_t, void*) { return false; }
bool always_gone(uint64_t, void*) { return true; }

TEST(FleetLease, is_one_holder_s_until_it_is_gone_or_silent) {
    Area a;
    uint64_t mine = 0;
    uint64_t other = 0;
    EXPECT_TRUE(take_lease(a.area, 1, 100, never_gone, nullptr, &mine));
    EXPECT_FALSE(take_lease(a.area, 2, 100 + kLeaseSilenceMs, never_gone, nullptr, &other));
    EXPECT_TRUE(keep_lease(a.area, 1, mine, 2000));
    EXPECT_FALSE(take_lease(a.area, 2, 2000 + kLeaseSilenceMs, never_gone, nullptr, &other));
    EXPECT_TRUE(take_lease(a.area, 2, 2001 + kLeaseSilenceMs, never_gone, nullptr, &other));
    EXPECT_FALSE(keep_lease(a.area, 1, mine, 6000));
    EXPECT_FALSE(holds_lease(*a.area, 1, mine));
    leave_lease(a.area, 1, mine);  // not its own any more
    EXPECT_TRUE(holds_lease(*a.area, 2, other));
    EXPECT_TRUE(take_lease(a.area, 3, 6000, always_gone, nullptr, &mine));
    leave_lease(a.area, 3, mine);
    EXPECT_TRUE(take_lease(a.area, 4, 6000, never_gone, nullptr, &other));
}

TEST(FleetLease, taken_again_by_the_same_process_is_another_tenancy) {
    Area a;
    uint64_t first = 0;
    uint64_t second = 0;
    EXPECT_TRUE(take_lease(a.area, 1, 100, never_gone, nullptr, &first));
    EXPECT_TRUE(take_lease(a.area, 1, 100, never_gone, nullptr, &second));
    EXPECT_NE(first, second);
    EXPECT_FALSE(holds_lease(*a.area, 1, first));
}

TEST(FleetPosition, is_none_at_first_and_the_last_one_written_then) {
    Area a;
    FleetPosition p;
    EXPECT_FALSE(read_position(*a.area, &p));
    for (uint64_t i = 1; i < 10; i++) {
        write_position(a.area, {{i, 2}, 10 * i}, i);
        ASSERT_TRUE(read_position(*a.area, &p));
        EXPECT_TRUE(p.id == (StreamId{i, 2}) && p.hash == 10 * i);
    }
}

TEST(FleetPosition, a_torn_one_is_none) {
    Area a;
    FleetPosition p;
    write_position(a.area, {{5, 0}, 7}, 1);
    a->position.slot[a->position.which.load_relaxed() % 2].hash.store_relaxed(8);
    EXPECT_FALSE(read_position(*a.area, &p));
}

TEST(FleetBirth, is_the_counter_when_no_later_purge_was_done) {
    Area a;
    write_position(a.area, {{10, 0}, 1}, 100);
    write_position(a.area, {{20, 0}, 1}, 105);
    write_position(a.area, {{30, 0}, 1}, 110);
    EXPECT_EQ(birth_at(*a.area, {9, 9}), 0u);  // older than anything known
    EXPECT_EQ(birth_at(*a.area, {10, 0}), 100u);
    EXPECT_EQ(birth_at(*a.area, {29, 9}), 105u);  // 30-0 it does not know
    EXPECT_EQ(birth_at(*a.area, {30, 0}), 110u);
    EXPECT_EQ(birth_at(*a.area, {31, 0}), 0u);  // not reached here yet
}

TEST(FleetBirth, forgets_the_oldest) {
    Area a;
    for (uint64_t i = 1; i <= kFleetBirths + 10; i++) {
        write_position(a.area, {{i, 0}, 1}, 1000 + i);
    }
    EXPECT_EQ(birth_at(*a.area, {10, 0}), 0u);
    EXPECT_EQ(birth_at(*a.area, {11, 0}), 1011u);
}

TEST(FleetBirth, own_purges_that_were_not_read_back_are_later) {
    Area a;
    a.put("mine", 101);
    write_position(a.area, {{10, 0}, 1}, 103);
    EXPECT_EQ(birth_at(*a.area, {10, 0}), 100u);  // before ours, whose id is not known yet
    (void) a.send({12, 0});
    write_position(a.area, {{11, 0}, 1}, 104);
    EXPECT_EQ(birth_at(*a.area, {11, 0}), 100u);  // its id is above 11
    write_position(a.area, {{12, 0}, 1}, 105);
    EXPECT_EQ(birth_at(*a.area, {12, 0}), 105u);
    EXPECT_EQ(birth_at(*a.area, {11, 5}), 100u);
}

// Seen: what was made after a purge was as old as that purge where the purge had been given, until the next entry.
TEST(FleetBirth, an_own_purge_that_was_read_before_it_was_known_as_ours_is_no_later_one) {
    Area a;
    write_position(a.area, {{11, 0}, 1}, 100);
    a.put("mine", 101);
    write_position(a.area, {{12, 0}, 1}, 102);
    EXPECT_EQ(birth_at(*a.area, {12, 0}), 100u);
    a.put("not sent", 103);
    (void) a.send({12, 0});
    raise_birth(a.area, {11, 0}, 102);  // not where it stands
    EXPECT_EQ(birth_at(*a.area, {12, 0}), 100u);
    raise_birth(a.area, {12, 0}, 0);  // it is not known what was written with it
    EXPECT_EQ(birth_at(*a.area, {12, 0}), 100u);
    raise_birth(a.area, {12, 0}, 102);
    EXPECT_EQ(birth_at(*a.area, {12, 0}), 102u);
    EXPECT_EQ(birth_at(*a.area, {11, 0}), 100u);
    raise_birth(a.area, {12, 0}, 104);  // whatever is said: before the one that is not sent
    EXPECT_EQ(birth_at(*a.area, {12, 0}), 102u);
}

TEST(FleetBirth, an_own_purge_behind_the_position_stays_a_later_one) {
    Area a;
    a.put("mine", 101);
    write_position(a.area, {{11, 0}, 1}, 102);
    (void) a.send({12, 0});
    raise_birth(a.area, {11, 0}, 102);
    EXPECT_EQ(birth_at(*a.area, {11, 0}), 100u);
}

TEST(FleetBirth, what_did_not_fit_into_the_outbox_makes_everything_old_until_it_is_told_and_read_back) {
    Area a;
    a.outbox().miss();
    write_position(a.area, {{10, 0}, 1}, 100);
    EXPECT_EQ(birth_at(*a.area, {10, 0}), 0u);
    a.outbox().note_told(a.outbox().missed(), {12, 0});
    write_position(a.area, {{11, 0}, 1}, 101);
    EXPECT_EQ(birth_at(*a.area, {11, 0}), 0u);
    write_position(a.area, {{12, 0}, 1}, 102);
    EXPECT_EQ(birth_at(*a.area, {12, 0}), 102u);
}

TEST(FleetBirth, ids_that_may_have_been_given_out_twice_say_nothing) {
    Area a;
    write_position(a.area, {{10, 0}, 1}, 100);
    write_position(a.area, {{20, 0}, 1}, 101);
    write_position(a.area, {{15, 0}, 1}, 102);  // an older copy of the stream
    write_position(a.area, {{18, 0}, 1}, 103);
    EXPECT_EQ(birth_at(*a.area, {12, 0}), 0u);
    EXPECT_EQ(birth_at(*a.area, {18, 0}), 0u);
    write_position(a.area, {{21, 0}, 1}, 104);
    EXPECT_EQ(birth_at(*a.area, {20, 0}), 0u);
    EXPECT_EQ(birth_at(*a.area, {21, 0}), 104u);
}

// As a worker does it.
bool doubts(FleetArea* area, uint64_t now_ms, uint64_t blind_ms) {
    if (!must_doubt(area, now_ms, blind_ms)) {
        return false;
    }
    note_doubted(area, now_ms);
    return true;
}

// All that others purged was heard of up to then.
struct HeardUpTo : Area {
    explicit HeardUpTo(uint64_t ms) { raise_ms(&area->clear_ms, ms); }
};

TEST(FleetDoubt, comes_once_per_bound_while_something_may_be_unheard_of) {
    HeardUpTo a(1000);
    EXPECT_FALSE(doubts(a.area, 1999, 1000));
    EXPECT_TRUE(doubts(a.area, 2000, 1000));
    EXPECT_FALSE(doubts(a.area, 2001, 1000));
    EXPECT_FALSE(doubts(a.area, 2999, 1000));
    EXPECT_TRUE(doubts(a.area, 3000, 1000));
    raise_ms(&a->clear_ms, 3900);
    EXPECT_FALSE(doubts(a.area, 4500, 1000));
    EXPECT_EQ(a->figures.blind.load_relaxed(), 2u);
}

TEST(FleetDoubt, a_node_that_was_not_heard_of_is_reason_enough) {
    HeardUpTo a(5000);
    EXPECT_TRUE(note_node(a.area, "web2", {1, 0}, 4000, NodeState::kSilent));
    EXPECT_FALSE(doubts(a.area, 4900, 1000));
    EXPECT_TRUE(doubts(a.area, 5000, 1000));
    EXPECT_FALSE(doubts(a.area, 5500, 1000));
    EXPECT_TRUE(note_node(a.area, "web2", {1, 0}, 5900, NodeState::kLive));
    raise_ms(&a->clear_ms, 6000);
    EXPECT_FALSE(doubts(a.area, 6800, 1000));
}

TEST(FleetDoubt, without_any_contact_begins_at_once) {
    Area a;
    EXPECT_TRUE(doubts(a.area, 1000000, 60000));
    EXPECT_FALSE(doubts(a.area, 1000001, 60000));
}

TEST(FleetDoubt, is_one_worker_s_and_another_s_where_that_one_died) {
    HeardUpTo a(1000);
    EXPECT_TRUE(must_doubt(a.area, 2000, 1000));
    EXPECT_FALSE(must_doubt(a.area, 2199, 1000));
    EXPECT_TRUE(must_doubt(a.area, 2200, 1000));
    note_doubted(a.area, 2200);
    EXPECT_FALSE(must_doubt(a.area, 3199, 1000));
    EXPECT_TRUE(must_doubt(a.area, 3200, 1000));
}

TEST(FleetDoubt, a_node_of_which_nothing_is_known_is_reason_enough) {
    HeardUpTo a(5000);
    EXPECT_TRUE(note_node(a.area, "web2", {1, 0}, 5000, NodeState::kLive));
    EXPECT_FALSE(doubts(a.area, 5001, 1000));
    a->node[0].version.store_relaxed(a->node[0].version.load_relaxed() | 1);  // its writer died
    EXPECT_TRUE(doubts(a.area, 5001, 1000));
    EXPECT_FALSE(doubts(a.area, 5900, 1000));
}

TEST(FleetNodes, are_kept_by_name) {
    Area a;
    FleetNode node;
    EXPECT_FALSE(read_node(*a.area, 0, &node));
    EXPECT_TRUE(note_node(a.area, "web1", {1, 2}, 7, NodeState::kLive));
    EXPECT_TRUE(note_node(a.area, "web2", {3, 4}, 8, NodeState::kSilent));
    EXPECT_TRUE(note_node(a.area, "web1", {5, 6}, 9, NodeState::kLive));
    ASSERT_TRUE(read_node(*a.area, 0, &node));
    EXPECT_TRUE(node.name == "web1" && node.position == (StreamId{5, 6}) && node.clear_ms == 9);
    ASSERT_TRUE(read_node(*a.area, 1, &node));
    EXPECT_TRUE(node.name == "web2" && node.state == NodeState::kSilent);
    drop_node(a.area, "web1");
    EXPECT_FALSE(read_node(*a.area, 0, &node));
    EXPECT_TRUE(note_node(a.area, std::string(kNodeNameBytes, 'n'), {1, 0}, 1, NodeState::kLive));
    ASSERT_TRUE(read_node(*a.area, 0, &node));
    EXPECT_EQ(node.name.size(), kNodeNameBytes);
    EXPECT_FALSE(note_node(a.area, std::string(kNodeNameBytes + 1, 'n'), {1, 0}, 1, NodeState::kLive));
    EXPECT_FALSE(note_node(a.area, "", {1, 0}, 1, NodeState::kLive));
}

TEST(FleetNodes, one_that_is_being_written_is_none_until_it_is_written_anew) {
    Area a;
    FleetNode node;
    EXPECT_TRUE(note_node(a.area, "web1", {1, 2}, 7, NodeState::kLive));
    a->node[0].version.store_relaxed(a->node[0].version.load_relaxed() | 1);  // its writer died
    EXPECT_FALSE(read_node(*a.area, 0, &node));
    EXPECT_EQ(look_at_node(*a.area, 0, &node), NodeLook::kTorn);
    EXPECT_EQ(look_at_node(*a.area, 1, &node), NodeLook::kNone);
    EXPECT_TRUE(note_node(a.area, "web1", {1, 3}, 8, NodeState::kLive));
    EXPECT_TRUE(read_node(*a.area, 0, &node));
}

TEST(FleetNodes, are_bounded) {
    Area a;
    for (uint32_t i = 0; i < kFleetNodes; i++) {
        EXPECT_TRUE(note_node(a.area, "n" + std::to_string(i), {1, 0}, 1, NodeState::kLive));
    }
    EXPECT_FALSE(note_node(a.area, "one more", {1, 0}, 1, NodeState::kLive));
}

// ---- values of a tier, behind a doubt -------------------------------------------------------------------------

struct Doubted : HeardUpTo {
    static constexpr StreamId kAt = {11, 0};
    Doubted() : HeardUpTo(1000) {
        write_position(area, {kAt, 1}, 100);
        EXPECT_TRUE(doubts(area, 2000, 1000));  // purge 101
    }
    uint64_t birth_after(uint64_t seq) {
        (void) end_doubt(area, kAt, seq);
        return birth_at(*area, kAt);
    }
};

// Seen: on a stream where nothing happened, nothing in the store was of use any more.
TEST(FleetDoubt, is_not_held_against_values_once_all_before_it_was_heard_of) {
    Doubted a;
    EXPECT_EQ(a.birth_after(101), 100u);
    raise_ms(&a->clear_ms, 2000);
    EXPECT_EQ(a.birth_after(101), 100u);
    raise_ms(&a->clear_ms, 2001);
    EXPECT_EQ(a.birth_after(101), 101u);
    EXPECT_EQ(birth_at(*a.area, {10, 0}), 0u);
}

TEST(FleetDoubt, is_held_against_values_while_a_node_was_not_heard_of) {
    Doubted a;
    EXPECT_TRUE(note_node(a.area, "web2", {1, 0}, 1500, NodeState::kSilent));
    raise_ms(&a->clear_ms, 3000);
    EXPECT_EQ(a.birth_after(101), 100u);
    EXPECT_TRUE(note_node(a.area, "web2", {1, 0}, 2500, NodeState::kLive));
    EXPECT_EQ(a.birth_after(101), 101u);
}

TEST(FleetDoubt, that_has_begun_meanwhile_is_held_against_values) {
    Doubted a;
    raise_ms(&a->clear_ms, 2500);
    EXPECT_TRUE(must_doubt(a.area, 4000, 1000));  // its purge may be among the 102
    EXPECT_EQ(a.birth_after(102), 100u);
    note_doubted(a.area, 4000);
    raise_ms(&a->clear_ms, 4001);
    EXPECT_EQ(a.birth_after(102), 102u);
}

TEST(FleetDoubt, says_nothing_of_an_own_purge_that_nobody_has_heard_of) {
    Doubted a;
    a.put("mine", 102);
    raise_ms(&a->clear_ms, 3000);
    EXPECT_EQ(a.birth_after(103), 101u);
}

}  // namespace
}  // namespace slab_cache::cache
