#include "http/reason.h"

namespace slab_cache::http {

namespace {

constexpr Bytes kWords[] = {
#define SLAB_REASON(enumerator, word, mark, sentence) word,
#include "http/reason.def"
#undef SLAB_REASON
};

constexpr Bytes kSentences[] = {
#define SLAB_REASON(enumerator, word, mark, sentence) sentence,
#include "http/reason.def"
#undef SLAB_REASON
};

constexpr Mark kMarks[] = {
#define SLAB_REASON(enumerator, word, mark, sentence) Mark::mark,
#include "http/reason.def"
#undef SLAB_REASON
};

}  // namespace

Bytes reason_word(Reason reason) noexcept {
    const uint32_t at = static_cast<uint32_t>(reason);
    return at < kReasonCount ? kWords[at] : Bytes{};
}

Bytes reason_sentence(Reason reason) noexcept {
    const uint32_t at = static_cast<uint32_t>(reason);
    return at < kReasonCount ? kSentences[at] : Bytes{};
}

Mark mark_of(Reason reason) noexcept {
    const uint32_t at = static_cast<uint32_t>(reason);
    return at < kReasonCount ? kMarks[at] : Mark::kNo;
}

}  // namespace slab_cache::http
