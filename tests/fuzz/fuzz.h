// tests/fuzz/fuzz.h — what the targets share: input as bytes, lines as fields, and a check that
// traps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "http/fields.h"

namespace slab_cache::http {

inline std::string_view input(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

inline void check(bool holds) {
    if (!holds) {
        __builtin_trap();
    }
}

inline bool is_inside(std::string_view part, std::string_view whole) {
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// Each line of the input is a value of `name`.
inline std::vector<Field> lines_of(std::string_view text, std::string_view name) {
    std::vector<Field> out;
    for (size_t from = 0; from <= text.size();) {
        const size_t at = text.find('\n', from);
        const size_t to = at == std::string_view::npos ? text.size() : at;
        out.push_back({name, text.substr(from, to - from)});
        from = to + 1;
    }
    return out;
}

// Each line of the input is "Name: value".
inline std::vector<Field> fields_of(std::string_view text) {
    std::vector<Field> out;
    for (const Field& line : lines_of(text, "")) {
        const size_t at = line.value.find(':');
        if (at != std::string_view::npos) {
            out.push_back({line.value.substr(0, at), line.value.substr(at + 1)});
        }
    }
    return out;
}

}  // namespace slab_cache::http
