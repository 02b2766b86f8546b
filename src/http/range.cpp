#include "http/range.h"

#include "http/syntax.h"

namespace slab_cache::http {

namespace {

// Digits at the front of `text`, saturated. False when there is none.
bool take_number(Bytes* text, uint64_t* number) noexcept {
    size_t at = 0;
    uint64_t value = 0;
    for (; at < text->size() && is_digit((*text)[at]); at++) {
        const uint64_t digit = static_cast<uint64_t>((*text)[at] - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    *text = base::slice(*text, at);
    *number = value;
    return at != 0;
}

enum class Spec : uint8_t { kInvalid, kOutside, kInside };

// "0-99", "100-" or "-5" against `length`.
Spec parse_spec(Bytes text, uint64_t length, ByteRange* out) noexcept {
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;
    const bool has_first = take_number(&text, &first);
    if (text.empty() || text[0] != '-') {
        return Spec::kInvalid;
    }
    text = base::slice(text, 1);
    uint64_t number = 0;
    const bool has_last = take_number(&text, &number);
    if (!text.empty() || (!has_first && !has_last)) {
        return Spec::kInvalid;
    }
    if (!has_first) {
        first = number < length ? length - number : 0;
        *out = {first, length - 1};
        return number == 0 || length == 0 ? Spec::kOutside : Spec::kInside;
    }
    last = has_last ? number : last;
    if (last < first) {
        return Spec::kInvalid;
    }
    *out = {first, last < length ? last : length - 1};
    return first < length ? Spec::kInside : Spec::kOutside;
}

}  // namespace

void parse_ranges(Bytes value, uint64_t length, RangeSet* out) noexcept {
    constexpr Bytes kUnit = "bytes=";
    out->answer = RangeAnswer::kWhole;
    out->count = 0;
    value = trim(value);
    if (!base::equal_nocase(base::slice(value, 0, kUnit.size()), kUnit)) {
        return;
    }
    uint32_t specs = 0;
    uint32_t count = 0;
    uint64_t total = 0;
    ListReader reader(base::slice(value, kUnit.size()));
    for (Bytes member; reader.next(&member);) {
        ByteRange range{};
        const Spec spec = parse_spec(member, length, &range);
        if (spec == Spec::kInvalid || ++specs > kMaxRanges) {
            return;
        }
        if (spec == Spec::kInside) {
            if (range.length() > length - total) {
                return;  // it would be more to send than the whole
            }
            total += range.length();
            out->ranges[count++] = range;
        }
    }
    if (specs == 0) {
        return;
    }
    out->count = count;
    out->answer = count != 0 ? RangeAnswer::kPartial : RangeAnswer::kUnsatisfiable;
}

}  // namespace slab_cache::http
