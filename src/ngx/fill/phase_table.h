// ngx/fill/phase_table.h — the phases of a fill, and from which other each may be reached; as request/step_table.h.
#pragma once

#include <cstdint>

namespace slab_cache::ngx {

enum class FillPhase : uint8_t {
    kFetching,  // no response header yet
    kStoring,   // header stored, body being captured
    kRelaying,  // not storable: handed to the leader as it comes
    kDropping,  // nobody wants the rest
    kDone,      // published, or failed for good
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
inline constexpr PhaseRow kPhaseTable[] = {
    {"fetching", 0},
    // A direct fill is done with asking before it stores: its answer is copied in passing.
    {"storing", phases(FillPhase::kFetching, FillPhase::kDone)},
    {"relaying", phases(FillPhase::kFetching, FillPhase::kStoring)},  // from storing: the object outgrew the cache
    {"dropping", kAnyPhase},
    {"done", phases(FillPhase::kFetching, FillPhase::kStoring, FillPhase::kRelaying)},
};
static_assert(sizeof(kPhaseTable) / sizeof(kPhaseTable[0]) == static_cast<unsigned>(FillPhase::kDone) + 1,
              "a row a phase");

constexpr const PhaseRow& row_of(FillPhase phase) noexcept { return kPhaseTable[static_cast<unsigned>(phase)]; }
constexpr bool is_legal_move(FillPhase from, FillPhase to) noexcept { return (row_of(to).after & phases(from)) != 0; }

}  // namespace slab_cache::ngx
