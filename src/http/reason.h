// http/reason.h — why not: the one vocabulary of refusals (reason.def).
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::http {

using base::Bytes;

enum class Reason : uint8_t {
#define SLAB_REASON(enumerator, word, mark, sentence) enumerator,
#include "http/reason.def"
#undef SLAB_REASON
};

inline constexpr uint32_t kReasonCount = 0
#define SLAB_REASON(enumerator, word, mark, sentence) +1
#include "http/reason.def"
#undef SLAB_REASON
    ;

// The word and the sentence of a reason; empty for a number that is none (numbers come out of
// shared memory).
Bytes reason_word(Reason reason) noexcept;
Bytes reason_sentence(Reason reason) noexcept;

// An answer was not stored for this reason: will the next one be refused too, so that nobody should wait for it?
enum class Mark : uint8_t {
    kNo,
    kByHeader,  // the response as such is the reason: likely, until the header of one says otherwise
    kByTime,    // the same, but no header alone can say otherwise: until the mark ends
};
Mark mark_of(Reason reason) noexcept;

// Yes, or no and why.
struct Verdict {
    Reason reason = Reason::kNone;
    explicit operator bool() const noexcept { return reason == Reason::kNone; }
};

}  // namespace slab_cache::http
