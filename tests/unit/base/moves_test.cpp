// Tables of states and their legal predecessors.
#include "base/moves.h"

#include <gtest/gtest.h>

namespace slab_cache::base {
namespace {

enum class Door : uint8_t { kShut, kOpen, kGone };

constexpr MoveRow kDoors[] = {
    {"shut", from(Door::kOpen)},
    {"open", from(Door::kShut)},
    {"gone", kFromAny},
};
static_assert(has_a_row_each(kDoors, Door::kGone));
static_assert(!has_a_row_each(kDoors, Door::kOpen));

constexpr const MoveRow& row_of(Door door) noexcept { return kDoors[static_cast<unsigned>(door)]; }

TEST(Moves, are_legal_from_the_states_of_the_row_alone) {
    EXPECT_TRUE(is_legal_move(Door::kShut, Door::kOpen));
    EXPECT_TRUE(is_legal_move(Door::kOpen, Door::kShut));
    EXPECT_FALSE(is_legal_move(Door::kOpen, Door::kOpen));
    EXPECT_FALSE(is_legal_move(Door::kGone, Door::kOpen));
}

TEST(Moves, from_any_state_are_legal_from_each) {
    for (const Door door : {Door::kShut, Door::kOpen, Door::kGone}) {
        EXPECT_TRUE(is_legal_move(door, Door::kGone));
    }
}

}  // namespace
}  // namespace slab_cache::base
