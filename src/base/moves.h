// base/moves.h — a table of states: the name of each, and from which others it may be reached.
//
// One row a state, in the order of its enumeration. Whoever has a table gives `row_of(State)` beside it.
#pragma once

#include <cstdint>

namespace slab_cache::base {

struct MoveRow {
    const char* name;
    uint32_t after;  // from()
};

inline constexpr uint32_t kFromAny = ~0U;

template <typename... S>
constexpr uint32_t from(S... state) noexcept {
    return (0U | ... | (1U << static_cast<unsigned>(state)));
}

template <typename S>
constexpr bool is_legal_move(S old, S next) noexcept {
    return (row_of(next).after & from(old)) != 0;
}

template <typename S, unsigned N>
constexpr bool has_a_row_each(const MoveRow (&)[N], S last) noexcept {
    return N == static_cast<unsigned>(last) + 1;
}

}  // namespace slab_cache::base
