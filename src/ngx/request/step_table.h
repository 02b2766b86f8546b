// ngx/request/step_table.h — the steps of a request, and from which other each may be reached.
//
// One row a step: its name in logs, and its legal predecessors. A debug build (SLAB_DEBUG) checks each move against the
// rows and aborts on one that is not there; in production a row is a name.
#pragma once

#include <cstdint>

namespace slab_cache::ngx {

enum class Step : uint8_t {
    kStart,
    kBody,
    kLookup,
    kWait,
    kServe,
    kRelay,
    kRedirect,  // a content handler answers, from the zone or with what the fill hands on
    kStreaming,
    kRelaying,  // ... and sends what comes, as it comes
    kAnswered,  // nothing left to do: what the fill says from now on is not for this request
    kDirect,
    kAsking,  // this request asks the origin for all who wait: is about to, and does
    kPass,
};

template <typename... S>
constexpr uint32_t steps(S... step) noexcept {
    return (0U | ... | (1U << static_cast<unsigned>(step)));
}

struct StepRow {
    const char* name;
    uint32_t after;  // steps()
};

inline constexpr uint32_t kAnyStep = ~0U;
inline constexpr uint32_t kBeforeAnswer = steps(Step::kStart, Step::kBody, Step::kLookup, Step::kWait);
inline constexpr StepRow kStepTable[] = {
    {"start", 0},
    {"body", steps(Step::kStart)},
    {"lookup", kBeforeAnswer},  // from lookup: an object appeared meanwhile
    {"wait", kBeforeAnswer},    // from start, body: bypassed, a fill runs
    {"serve", steps(Step::kLookup, Step::kWait)},
    {"relay", steps(Step::kWait)},
    {"redirect", steps(Step::kWait)},
    {"streaming", steps(Step::kAnswered)},                   // the header is sent, its handler returns
    {"relaying", steps(Step::kAnswered, Step::kStreaming)},  // from streaming: the object outgrew the cache
    {"answered", kAnyStep},                                  // nginx may take a request away at any step
    {"direct", kBeforeAnswer},
    {"asking", steps(Step::kDirect)},
    {"pass", kBeforeAnswer},
};
static_assert(sizeof(kStepTable) / sizeof(kStepTable[0]) == static_cast<unsigned>(Step::kPass) + 1, "a row a step");

constexpr const StepRow& row_of(Step step) noexcept { return kStepTable[static_cast<unsigned>(step)]; }
constexpr bool is_legal_move(Step from, Step to) noexcept { return (row_of(to).after & steps(from)) != 0; }

}  // namespace slab_cache::ngx
