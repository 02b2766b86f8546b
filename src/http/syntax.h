// http/syntax.h — the small grammar that all fields share: tokens, lists, quoted strings,
// delta-seconds.
//
// What        RFC 9110 §5.6. Readers are pulled: next() yields views into the input, nothing is
//             copied.
// Units       delta-seconds as int64_t, saturated at kDeltaMax (RFC 9111 §1.2.2), never wrapped.
// Threading   values. No allocation anywhere.
#pragma once

#include <cstddef>
#include <cstdint>

#include "http/fields.h"

namespace slab_cache::http {

// "Very long": every longer delta-seconds value is taken for this one (2^31, 68 years).
inline constexpr int64_t kDeltaMax = 2147483648;
inline constexpr int64_t kTimeMax = INT64_MAX;

constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_token_char(char c) noexcept;  // RFC 9110 §5.6.2
bool is_token(Bytes text) noexcept;   // at least one character
Bytes trim(Bytes text) noexcept;      // without the SP and HTAB around it

// a + b and a - b for times and ages; the ends of int64_t hold.
constexpr int64_t add_saturated(int64_t a, int64_t b) noexcept {
    int64_t sum = 0;
    if (!__builtin_add_overflow(a, b, &sum)) {
        return sum;
    }
    return b > 0 ? INT64_MAX : INT64_MIN;
}
constexpr int64_t subtract_saturated(int64_t a, int64_t b) noexcept {
    int64_t difference = 0;
    if (!__builtin_sub_overflow(a, b, &difference)) {
        return difference;
    }
    return b < 0 ? INT64_MAX : INT64_MIN;
}

// A bare non-negative decimal of any number of digits, saturated at kDeltaMax; -1 for anything else
// (empty, sign, fraction, spaces, trailing text).
int64_t parse_delta(Bytes text) noexcept;

// The members of one line of a comma-separated list. Commas inside quoted strings do not separate;
// members are trimmed; empty ones are skipped (RFC 9110 §5.6.1). A string that is never closed runs
// to the end of the line and sets broken().
class ListReader {
public:
    explicit ListReader(Bytes line) noexcept : rest_(line) {}
    bool next(Bytes* member) noexcept;
    bool broken() const noexcept { return broken_; }

private:
    Bytes rest_;
    bool broken_ = false;
};

// The members of all lines of a name, as if they were one list (RFC 9110 §5.3).
class FieldListReader {
public:
    FieldListReader(const Fields& fields, Bytes name) noexcept
        : at_(fields.may_have(name) ? fields.begin() : fields.end()), end_(fields.end()), name_(name), line_(Bytes{}) {}
    bool next(Bytes* member) noexcept;
    bool broken() const noexcept { return broken_ || line_.broken(); }

private:
    const Field* at_;
    const Field* end_;
    Bytes name_;
    ListReader line_;
    bool broken_ = false;
};

// Is `name` a member of that comma-separated list, case ignored?
bool list_has(Bytes list, Bytes name) noexcept;

// name[=argument]; the argument as it stands (quotes and all). has_argument tells `a` from `a=`;
// has_blanks: there is whitespace around the `=`, which the grammar does not allow.
struct Directive {
    Bytes name;
    Bytes argument;
    bool has_argument = false;
    bool has_blanks = false;
};
Directive split_directive(Bytes member) noexcept;

// The inside of a quoted string, escapes left in; `text` itself when it is not one from end to end.
Bytes unquote(Bytes text) noexcept;

// Writes what fits of a text into [out, out + cap) and counts all of it: length() is the size that
// is needed.
class Output {
public:
    Output(char* out, size_t cap) noexcept : out_(out), cap_(cap) {}
    void put(char c) noexcept {
        if (length_ < cap_) {
            out_[length_] = c;
        }
        length_++;
    }
    void put(Bytes text) noexcept;
    void put_number(uint64_t number) noexcept;
    size_t length() const noexcept { return length_; }
    bool fits() const noexcept { return length_ <= cap_; }

private:
    char* out_;
    size_t cap_;
    size_t length_ = 0;
};

}  // namespace slab_cache::http
