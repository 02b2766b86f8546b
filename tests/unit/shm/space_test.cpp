#include "shm/space.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "support/space_field.h"

namespace slab_cache {
namespace {

using shm::BlockMode;
using shm::Kind;
using Piece = shm::Run;  // Run is a member of every TEST
using shm::Space;
using test::SpaceField;

constexpr uint32_t kKB = 1024;

TEST(Space, a_formatted_space_is_all_free) {
    SpaceField f(5);
    EXPECT_EQ(f.space().free_bytes(), 5 * 64 * kKB);
    EXPECT_EQ(f.space().block_count(BlockMode::kFree), 5u);
    EXPECT_EQ(f.audit(), "");
}

TEST(Space, metadata_of_a_block_is_144_bytes) {
    EXPECT_EQ(Space::metadata_bytes(1000 + 4096) - Space::metadata_bytes(1000), 4096u * 144);
}

TEST(Space, a_page_run_is_as_long_as_wanted_in_whole_pages) {
    SpaceField f(2);
    EXPECT_EQ(f.space().alloc_run_locked(20 * kKB, 8 * kKB, Kind::kPage).bytes, 24 * kKB);
    EXPECT_EQ(f.space().alloc_run_locked(99 * kKB, 8 * kKB, Kind::kPage).bytes, 64 * kKB);
    EXPECT_EQ(f.audit(), "");
}

TEST(Space, a_tail_run_is_rounded_to_units_and_stays_below_a_page) {
    SpaceField f(2);
    EXPECT_EQ(f.space().alloc_run_locked(1, 1, Kind::kTail).bytes, 64u);
    EXPECT_EQ(f.space().alloc_run_locked(1281, 1281, Kind::kTail).bytes, 1344u);
    EXPECT_EQ(f.space().alloc_run_locked(99 * kKB, 1, Kind::kTail).bytes, shm::kMaxTailBytes);
}

TEST(Space, runs_lie_inside_the_blocks_and_do_not_overlap) {
    SpaceField f(3);
    std::map<uint32_t, uint32_t> taken;
    for (Piece r; (r = f.space().alloc_run_locked(700, 64, Kind::kTail));) {
        EXPECT_GE(r.ref, f.first_ref());
        EXPECT_LE(r.ref + r.bytes / 64, f.end_ref());
        taken[r.ref] = r.ref + r.bytes / 64;
    }
    uint32_t end = f.first_ref();
    for (const auto& run : taken) {
        EXPECT_EQ(run.first, end);  // and without gaps
        end = run.second;
    }
    EXPECT_EQ(end, f.end_ref());
    EXPECT_EQ(f.space().free_bytes(), 0u);
}

TEST(Space, pages_and_tails_do_not_share_a_block) {
    SpaceField f(2);
    const Piece page = f.space().alloc_run_locked(8 * kKB, 8 * kKB, Kind::kPage);
    const Piece tail = f.space().alloc_run_locked(100, 100, Kind::kTail);
    EXPECT_NE(f.block_of(page.ref), f.block_of(tail.ref));
    EXPECT_EQ(f.space().block_count(BlockMode::kPage), 1u);
    EXPECT_EQ(f.space().block_count(BlockMode::kTail), 1u);
    EXPECT_FALSE(f.space().alloc_run_locked(64 * kKB, 64 * kKB, Kind::kPage));
}

TEST(Space, the_tightest_row_is_taken_before_a_longer_one) {
    SpaceField f(2);
    std::vector<Piece> r;
    for (uint32_t units : {10, 1, 4, 1, 6, 1}) {
        r.push_back(f.space().alloc_run_locked(units * 64, units * 64, Kind::kTail));
    }
    for (int hole : {0, 2, 4}) {
        f.space().free_run_locked(r[hole].ref, r[hole].bytes);
    }
    EXPECT_EQ(f.space().alloc_run_locked(4 * 64, 4 * 64, Kind::kTail).ref, r[2].ref);
    EXPECT_EQ(f.space().alloc_run_locked(5 * 64, 5 * 64, Kind::kTail).ref, r[4].ref);
    EXPECT_EQ(f.audit(), "");
}

TEST(Space, a_block_in_use_is_filled_before_a_free_one_is_opened) {
    SpaceField f(4);
    const Piece a = f.space().alloc_run_locked(8 * kKB, 8 * kKB, Kind::kPage);
    const Piece b = f.space().alloc_run_locked(56 * kKB, 8 * kKB, Kind::kPage);
    EXPECT_EQ(f.block_of(a.ref), f.block_of(b.ref));
    EXPECT_EQ(b.bytes, 56 * kKB);
    EXPECT_EQ(f.space().block_count(BlockMode::kFree), 3u);
}

TEST(Space, a_free_block_is_opened_before_a_shorter_run_is_given) {
    SpaceField f(2);
    f.space().alloc_run_locked(40 * kKB, 40 * kKB, Kind::kPage);
    EXPECT_EQ(f.space().alloc_run_locked(32 * kKB, 8 * kKB, Kind::kPage).bytes, 32 * kKB);
}

TEST(Space, the_longest_shorter_run_is_given_when_nothing_better_is_left) {
    SpaceField f(2);
    f.space().alloc_run_locked(40 * kKB, 40 * kKB, Kind::kPage);
    f.space().alloc_run_locked(48 * kKB, 48 * kKB, Kind::kPage);
    EXPECT_EQ(f.space().alloc_run_locked(64 * kKB, 8 * kKB, Kind::kPage).bytes, 24 * kKB);
    EXPECT_EQ(f.space().alloc_run_locked(64 * kKB, 8 * kKB, Kind::kPage).bytes, 16 * kKB);
    EXPECT_FALSE(f.space().alloc_run_locked(64 * kKB, 8 * kKB, Kind::kPage));
    EXPECT_EQ(f.audit(), "");
}

TEST(Space, no_run_is_shorter_than_the_least_asked_for) {
    SpaceField f(1);
    f.space().alloc_run_locked(40 * kKB, 40 * kKB, Kind::kPage);
    EXPECT_FALSE(f.space().alloc_run_locked(64 * kKB, 32 * kKB, Kind::kPage));
}

TEST(Space, no_tail_run_is_given_for_what_only_pages_can_hold) {
    SpaceField f(1);
    EXPECT_FALSE(f.space().alloc_run_locked(9 * kKB, 9 * kKB, Kind::kTail));
    EXPECT_FALSE(f.space().alloc_run_locked(65 * kKB, 65 * kKB, Kind::kPage));
}

TEST(Space, kind_any_takes_what_suits_the_size_first) {
    SpaceField f(4);
    EXPECT_EQ(f.space().alloc_run_locked(1000, 1000, Kind::kAny).bytes, 1024u);
    EXPECT_EQ(f.space().alloc_run_locked(7 * kKB, 1000, Kind::kAny).bytes, 8 * kKB);
}

TEST(Space, kind_any_puts_a_tail_into_a_page_when_there_is_no_other_room) {
    SpaceField f(1);
    f.space().alloc_run_locked(8 * kKB, 8 * kKB, Kind::kPage);
    EXPECT_FALSE(f.space().alloc_run_locked(1000, 1000, Kind::kTail));
    EXPECT_EQ(f.space().alloc_run_locked(1000, 1000, Kind::kAny).bytes, 8 * kKB);
}

TEST(Space, kind_any_puts_a_page_into_a_tail_block_when_there_is_no_other_room) {
    SpaceField f(1);
    f.space().alloc_run_locked(64, 64, Kind::kTail);
    EXPECT_EQ(f.space().alloc_run_locked(16 * kKB, 4 * kKB, Kind::kAny).bytes, shm::kMaxTailBytes);
}

TEST(Space, freed_neighbours_become_one_row) {
    SpaceField f(1);
    std::vector<Piece> r;
    for (int i = 0; i < 16; i++) {
        r.push_back(f.space().alloc_run_locked(4 * kKB, 4 * kKB, Kind::kTail));
    }
    f.space().free_run_locked(r[6].ref, r[6].bytes);
    f.space().free_run_locked(r[8].ref, r[8].bytes);
    EXPECT_EQ(f.audit(), "");
    f.space().free_run_locked(r[7].ref, r[7].bytes);
    EXPECT_EQ(f.audit(), "");
    EXPECT_EQ(f.space().alloc_run_locked(shm::kMaxTailBytes, 8000, Kind::kTail).ref, r[6].ref);
}

TEST(Space, a_block_is_free_again_when_its_last_run_goes) {
    SpaceField f(1);
    const Piece a = f.space().alloc_run_locked(1000, 1000, Kind::kTail);
    const Piece b = f.space().alloc_run_locked(1000, 1000, Kind::kTail);
    EXPECT_TRUE(f.space().free_run_locked(a.ref, a.bytes));
    EXPECT_EQ(f.space().block_count(BlockMode::kFree), 0u);
    EXPECT_TRUE(f.space().free_run_locked(b.ref, b.bytes));
    EXPECT_EQ(f.space().block_count(BlockMode::kFree), 1u);
    EXPECT_EQ(f.space().alloc_run_locked(64 * kKB, 64 * kKB, Kind::kPage).bytes, 64 * kKB);
}

TEST(Space, what_is_no_run_in_use_is_not_freed) {
    SpaceField f(2);
    const Piece r = f.space().alloc_run_locked(1024, 1024, Kind::kTail);
    f.space().alloc_run_locked(1024, 1024, Kind::kTail);
    EXPECT_FALSE(f.space().free_run_locked(0, 64));
    EXPECT_FALSE(f.space().free_run_locked(r.ref, 0));
    EXPECT_FALSE(f.space().free_run_locked(r.ref, 63));
    EXPECT_FALSE(f.space().free_run_locked(r.ref, 4096));     // beyond what is in use
    EXPECT_FALSE(f.space().free_run_locked(r.ref, 8 * kKB));  // a page run in a tail block
    EXPECT_FALSE(f.space().free_run_locked(f.end_ref(), 64));
    EXPECT_FALSE(f.space().free_run_locked(0xffffffff, 64));
    EXPECT_FALSE(f.space().free_run_locked(f.first_ref() - 1, 64));
    EXPECT_TRUE(f.space().free_run_locked(r.ref, r.bytes));
    EXPECT_FALSE(f.space().free_run_locked(r.ref, r.bytes));
    EXPECT_EQ(f.audit(), "");
}

TEST(Space, shrinking_gives_back_the_end) {
    SpaceField f(1);
    const Piece r = f.space().alloc_run_locked(64 * kKB, 64 * kKB, Kind::kPage);
    EXPECT_EQ(f.space().shrink_run_locked(r.ref, r.bytes, 20 * kKB), 24 * kKB);
    EXPECT_EQ(f.space().free_bytes(), 40 * kKB);
    EXPECT_EQ(f.audit(), "");
    EXPECT_EQ(f.space().alloc_run_locked(40 * kKB, 40 * kKB, Kind::kPage).bytes, 40 * kKB);
    EXPECT_TRUE(f.space().free_run_locked(r.ref, 24 * kKB));
}

TEST(Space, shrinking_a_tail_keeps_what_the_new_length_touches) {
    SpaceField f(1);
    const Piece r = f.space().alloc_run_locked(4000, 4000, Kind::kTail);
    EXPECT_EQ(f.space().shrink_run_locked(r.ref, r.bytes, 1281), 1344u);
    EXPECT_EQ(f.space().used_bytes(), 1344u);
    EXPECT_EQ(f.space().shrink_run_locked(r.ref, 1344, 1330), 1344u);
    EXPECT_EQ(f.space().shrink_run_locked(r.ref, 1344, 9999), 1344u);
    EXPECT_EQ(f.space().shrink_run_locked(r.ref, 1344, 0), 64u);
    EXPECT_EQ(f.audit(), "");
}

// ---- planning -----------------------------------------------------------------------------------

struct Layout {
    std::vector<uint32_t> runs;
    uint32_t bytes = 0;
};

Layout lay_out(SpaceField* f, uint64_t payload) {
    Layout l;
    uint32_t pieces = 4;
    while (payload > 0) {
        const shm::Ask ask = shm::plan_next_run(payload, pieces);
        const Piece r = f->space().alloc_run_locked(ask.want_bytes, ask.min_bytes, ask.kind);
        if (!r) {
            l.runs.clear();
            return l;
        }
        pieces -= ask.kind == Kind::kTail ? 1 : 0;
        l.runs.push_back(r.bytes);
        l.bytes += r.bytes;
        payload -= std::min<uint64_t>(payload, r.bytes - shm::kRunHeaderBytes);
    }
    return l;
}

TEST(SpacePlan, a_small_object_is_one_tail_run) {
    SpaceField f(1);
    EXPECT_EQ(lay_out(&f, 1280).runs, (std::vector<uint32_t>{1344}));
}

TEST(SpacePlan, just_below_a_page_an_object_gets_the_page) {
    SpaceField f(1);
    EXPECT_EQ(lay_out(&f, 7 * kKB).runs, (std::vector<uint32_t>{8 * kKB}));
}

TEST(SpacePlan, twenty_kb_are_two_pages_and_a_tail) {
    SpaceField f(2);
    EXPECT_EQ(lay_out(&f, 20 * kKB).runs, (std::vector<uint32_t>{16 * kKB, 4 * kKB + 64}));
}

TEST(SpacePlan, a_rest_of_nearly_a_page_is_one_more_page) {
    SpaceField f(2);
    EXPECT_EQ(lay_out(&f, 8 * kKB + 7400).runs, (std::vector<uint32_t>{16 * kKB}));
}

TEST(SpacePlan, large_objects_come_in_runs_of_eight_pages) {
    SpaceField f(4);
    EXPECT_EQ(lay_out(&f, 130 * kKB).runs, (std::vector<uint32_t>{64 * kKB, 64 * kKB, 2 * kKB + 64}));
}

TEST(SpacePlan, no_object_wastes_more_than_a_kilobyte_and_its_headers) {
    for (uint64_t payload = 1; payload < 200 * kKB; payload += 61) {
        SpaceField f(6);
        const Layout l = lay_out(&f, payload);
        ASSERT_FALSE(l.runs.empty()) << payload;
        ASSERT_LE(l.bytes, payload + kKB + 16 + 16 * l.runs.size()) << payload;
        ASSERT_LE(l.runs.size(), payload / (64 * kKB) + 2) << payload;
    }
}

TEST(SpacePlan, a_tail_is_split_into_at_most_four_pieces) {
    SpaceField f(1);
    std::vector<Piece> r;
    while (f.space().free_bytes() > 0) {
        r.push_back(f.space().alloc_run_locked(1792, 64, Kind::kTail));
    }
    for (size_t i = 0; i < 8; i += 2) {  // four holes of a quarter each
        f.space().free_run_locked(r[i].ref, r[i].bytes);
    }
    EXPECT_EQ(lay_out(&f, 4 * (1792 - 16)).runs.size(), 4u);
    for (size_t i = 8; i < 36; i += 2) {  // room enough, but in too many pieces: rather none
        f.space().shrink_run_locked(r[i].ref, r[i].bytes, 1000);
    }
    EXPECT_TRUE(lay_out(&f, 7000).runs.empty());
}

// ---- a slow, obvious model ----------------------------------------------------------------------

class Model {
public:
    explicit Model(const SpaceField& f) : first_(f.first_ref()), owner_(f.blocks() * shm::kUnitsPerBlock) {}

    bool add(const Piece& r) {
        for (uint32_t i = 0; i < r.bytes / 64; i++) {
            if (owner_.at(r.ref - first_ + i) != 0) {
                return false;
            }
            owner_[r.ref - first_ + i] = r.ref;
        }
        runs.push_back(r);
        used += r.bytes;
        return true;
    }
    void remove(size_t i) {
        clear(runs[i].ref, runs[i].bytes);
        runs[i] = runs.back();
        runs.pop_back();
    }
    void shrink(size_t i, uint32_t bytes) {
        clear(runs[i].ref + bytes / 64, runs[i].bytes - bytes);
        runs[i].bytes = bytes;
    }
    // The longest free row, in bytes, that `kind` could be given from.
    uint32_t longest(Kind kind) const {
        const bool page = kind == Kind::kPage;
        const uint32_t grain = page ? shm::kPagesPerBlock : shm::kUnitsPerBlock;
        const uint32_t units = shm::kUnitsPerBlock / grain;
        uint32_t best = 0;
        for (size_t b = 0; b < owner_.size(); b += shm::kUnitsPerBlock) {
            if (!may_hold(b, page)) {
                continue;
            }
            uint32_t row = 0;
            for (uint32_t g = 0; g < grain; g++) {
                row = owner_[b + g * units] == 0 ? row + 1 : 0;
                best = std::max(best, row * units * 64);
            }
        }
        return best;
    }

    std::vector<Piece> runs;
    uint64_t used = 0;

private:
    void clear(uint32_t ref, uint32_t bytes) {
        for (uint32_t i = 0; i < bytes / 64; i++) {
            owner_[ref - first_ + i] = 0;
        }
        used -= bytes;
    }
    bool may_hold(size_t b, bool page) const {
        for (const Piece& r : runs) {
            if ((r.ref - first_) / shm::kUnitsPerBlock * shm::kUnitsPerBlock == b) {
                return (r.bytes % (8 * kKB) == 0) == page;
            }
        }
        return true;
    }

    uint32_t first_;
    std::vector<uint32_t> owner_;
};

uint32_t rounded(uint32_t bytes, Kind k) {
    const uint32_t grain = k == Kind::kPage ? 8 * kKB : 64;
    return (bytes + grain - 1) / grain * grain;
}

// As long as the model says there is, and never what is in use.
bool allocate_like_the_model(SpaceField* f, Model* m, std::mt19937* rng) {
    const Kind kind = (*rng)() % 3 == 0 ? Kind::kPage : Kind::kTail;
    const uint32_t want = 1 + (*rng)() % (kind == Kind::kPage ? 64 * kKB : shm::kMaxTailBytes);
    const uint32_t least = 1 + (*rng)() % want;
    const uint32_t can = m->longest(kind);
    const Piece r = f->space().alloc_run_locked(want, least, kind);
    const uint32_t due = std::min(can, rounded(want, kind));
    return due < rounded(least, kind) ? !r : r.bytes == due && m->add(r);
}

TEST(SpaceModel, random_lives_agree_with_an_obvious_model) {
    for (uint32_t seed = 1; seed <= 4; seed++) {
        SpaceField f(6);
        Model m(f);
        std::mt19937 rng(seed);
        for (int step = 0; step < 6000; step++) {
            const uint32_t what = rng() % 16;
            if (what < 8 || m.runs.empty()) {
                ASSERT_TRUE(allocate_like_the_model(&f, &m, &rng)) << "seed " << seed;
            } else if (const size_t i = rng() % m.runs.size(); what < 15) {
                ASSERT_TRUE(f.space().free_run_locked(m.runs[i].ref, m.runs[i].bytes));
                m.remove(i);
            } else {
                const uint32_t bytes = 1 + rng() % m.runs[i].bytes;
                m.shrink(i, f.space().shrink_run_locked(m.runs[i].ref, m.runs[i].bytes, bytes));
            }
            ASSERT_EQ(f.space().used_bytes(), m.used);
            ASSERT_EQ(f.audit(), "") << "seed " << seed << " step " << step;
        }
    }
}

}  // namespace
}  // namespace slab_cache
