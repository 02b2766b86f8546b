// ngx/fill/phase_table.h — the phases of a fill's three lives, and from which other each may be reached; as
// request/step_table.h.
#pragma once

#include <cstdint>

namespace slab_cache::ngx {

enum class ClonePhase : uint8_t {
    kFetching,  // no response header yet
    kStoring,   // header stored, body being captured
    kRelaying,  // not storable: handed to the leader as it comes
    kDropping,  // nobody wants the rest
    kDone,      // published, or failed for good
};

enum class DirectPhase : uint8_t {
    kAsking,    // no response header yet
    kAnswered,  // nothing more to store: it was stored whole, or not at all, or its copy has ended
    kCopying,   // header stored, body being copied in passing
};

enum class PostCopyPhase : uint8_t {
    kPlanned,
    kCopying,
    kOver,
};

template <typename... P>
constexpr uint32_t phases(P... phase) noexcept {
    return (0U | ... | (1U << static_cast<unsigned>(phase)));
}

struct PhaseRow {
    const char* name;
    uint32_t after;  // phases()
};

inline constexpr uint32_t kAnyPhase = ~0U;
inline constexpr PhaseRow kClonePhases[] = {
    {"fetching", 0},
    {"storing", phases(ClonePhase::kFetching)},
    {"relaying", phases(ClonePhase::kFetching, ClonePhase::kStoring)},  // from storing: the object outgrew the cache
    {"dropping", kAnyPhase},
    {"done", phases(ClonePhase::kFetching, ClonePhase::kStoring, ClonePhase::kRelaying)},
};
inline constexpr PhaseRow kDirectPhases[] = {
    {"asking", 0},
    {"answered", phases(DirectPhase::kAsking, DirectPhase::kCopying)},
    {"copying", phases(DirectPhase::kAnswered)},
};
inline constexpr PhaseRow kPostCopyPhases[] = {
    {"planned", 0},
    {"copying", phases(PostCopyPhase::kPlanned)},
    {"over", phases(PostCopyPhase::kCopying)},
};

template <typename P, unsigned N>
constexpr bool has_a_row_each(const PhaseRow (&)[N], P last) noexcept {
    return N == static_cast<unsigned>(last) + 1;
}
static_assert(has_a_row_each(kClonePhases, ClonePhase::kDone));
static_assert(has_a_row_each(kDirectPhases, DirectPhase::kCopying));
static_assert(has_a_row_each(kPostCopyPhases, PostCopyPhase::kOver));

constexpr const PhaseRow& row_of(ClonePhase phase) noexcept { return kClonePhases[static_cast<unsigned>(phase)]; }
constexpr const PhaseRow& row_of(DirectPhase phase) noexcept { return kDirectPhases[static_cast<unsigned>(phase)]; }
constexpr const PhaseRow& row_of(PostCopyPhase phase) noexcept { return kPostCopyPhases[static_cast<unsigned>(phase)]; }

template <typename P>
constexpr bool is_legal_move(P from, P to) noexcept {
    return (row_of(to).after & phases(from)) != 0;
}

}  // namespace slab_cache::ngx
