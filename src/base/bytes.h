// base/bytes.h — a read-only view of bytes, and checked sub-views.
//
// Threading   values; as safe as the memory they point to.
// Ownership   a Bytes never owns: whoever made it keeps the memory alive.
// Errors      out-of-range requests yield an empty or shortened view, never undefined behaviour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace slab_cache::base {

// std::string_view without its throwing members: use the free functions below, never substr() or at()
// (they would pull the C++ runtime into the module; `make lint` looks for that).
using Bytes = std::string_view;

// The part of `b` from `from` on, at most `n` bytes; empty when `from` lies beyond the end.
constexpr Bytes slice(Bytes b, size_t from, size_t n = static_cast<size_t>(-1)) noexcept {
    if (from >= b.size()) {
        return {};
    }
    const size_t rest = b.size() - from;
    return {b.data() + from, n < rest ? n : rest};
}

constexpr bool starts_with(Bytes b, Bytes prefix) noexcept {
    return b.size() >= prefix.size() && slice(b, 0, prefix.size()) == prefix;
}

constexpr bool ends_with(Bytes b, Bytes end) noexcept {
    return b.size() >= end.size() && slice(b, b.size() - end.size()) == end;
}

// ASCII only, as RFC 9110 §5.1 wants of field names; locale plays no part.
constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr bool equal_nocase(Bytes a, Bytes b) noexcept {
    if (a.size() != b.size() || (!a.empty() && lower(a[0]) != lower(b[0]))) {
        return false;
    }
    if (a == b) {  // as nearly always where they are equal at all
        return true;
    }
    for (size_t i = 1; i < a.size(); i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

// Room for any number in decimal.
constexpr size_t kDecimalBytes = 20;

// Writes `n` in decimal; returns the end.
inline char* put_decimal(char* to, uint64_t n) noexcept {
    char digits[kDecimalBytes];
    size_t count = 0;
    do {
        digits[count++] = static_cast<char>('0' + n % 10);
        n /= 10;
    } while (n != 0);
    while (count != 0) {
        *to++ = digits[--count];
    }
    return to;
}

}  // namespace slab_cache::base
