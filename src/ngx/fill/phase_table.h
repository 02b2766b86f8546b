// ngx/fill/phase_table.h — the phases of a fill's three lives, and from which other each may be reached; as
// request/step_table.h.
#pragma once

#include "base/moves.h"

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

using base::MoveRow;

inline constexpr MoveRow kClonePhases[] = {
    {"fetching", 0},
    {"storing", base::from(ClonePhase::kFetching)},
    {"relaying",
     base::from(ClonePhase::kFetching, ClonePhase::kStoring)},  // from storing: the object outgrew the cache
    {"dropping", base::kFromAny},
    {"done", base::from(ClonePhase::kFetching, ClonePhase::kStoring, ClonePhase::kRelaying)},
};
inline constexpr MoveRow kDirectPhases[] = {
    {"asking", 0},
    {"answered", base::from(DirectPhase::kAsking, DirectPhase::kCopying)},
    {"copying", base::from(DirectPhase::kAnswered)},
};
inline constexpr MoveRow kPostCopyPhases[] = {
    {"planned", 0},
    {"copying", base::from(PostCopyPhase::kPlanned)},
    {"over", base::from(PostCopyPhase::kCopying)},
};

static_assert(base::has_a_row_each(kClonePhases, ClonePhase::kDone));
static_assert(base::has_a_row_each(kDirectPhases, DirectPhase::kCopying));
static_assert(base::has_a_row_each(kPostCopyPhases, PostCopyPhase::kOver));

constexpr const MoveRow& row_of(ClonePhase phase) noexcept { return kClonePhases[static_cast<unsigned>(phase)]; }
constexpr const MoveRow& row_of(DirectPhase phase) noexcept { return kDirectPhases[static_cast<unsigned>(phase)]; }
constexpr const MoveRow& row_of(PostCopyPhase phase) noexcept { return kPostCopyPhases[static_cast<unsigned>(phase)]; }

}  // namespace slab_cache::ngx
