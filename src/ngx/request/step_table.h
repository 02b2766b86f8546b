// ngx/request/step_table.h — the steps of a request, and from which other each may be reached.
//
// One row a step: its name in logs, and its legal predecessors. A debug build (SLAB_DEBUG) checks each move against the
// rows and aborts on one that is not there; in production a row is a name.
#pragma once

#include "base/moves.h"

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

using base::MoveRow;

inline constexpr uint32_t kBeforeAnswer = base::from(Step::kStart, Step::kBody, Step::kLookup, Step::kWait);
inline constexpr MoveRow kStepTable[] = {
    {"start", 0},
    {"body", base::from(Step::kStart)},
    {"lookup", kBeforeAnswer},  // from lookup: an object appeared meanwhile
    {"wait", kBeforeAnswer},    // from start, body: bypassed, a fill runs
    {"serve", base::from(Step::kLookup, Step::kWait)},
    {"relay", base::from(Step::kWait)},
    {"redirect", base::from(Step::kWait)},
    {"streaming", base::from(Step::kAnswered)},                   // the header is sent, its handler returns
    {"relaying", base::from(Step::kAnswered, Step::kStreaming)},  // from streaming: the object outgrew the cache
    {"answered", base::kFromAny},                                 // nginx may take a request away at any step
    {"direct", kBeforeAnswer},
    {"asking", base::from(Step::kDirect)},
    {"pass", kBeforeAnswer},
};
static_assert(base::has_a_row_each(kStepTable, Step::kPass));

constexpr const MoveRow& row_of(Step step) noexcept { return kStepTable[static_cast<unsigned>(step)]; }

}  // namespace slab_cache::ngx
