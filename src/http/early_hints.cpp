#include "http/early_hints.h"

#include "http/syntax.h"

namespace slab_cache::http {
namespace {

constexpr Bytes kRelations[] = {"preload", "preconnect", "modulepreload"};

size_t skip_space(Bytes text, size_t at) noexcept {
    while (at < text.size() && is_space(text[at])) {
        at++;
    }
    return at;
}

// Behind the quoted string that begins at `at`; npos where it does not end.
size_t quoted_end(Bytes text, size_t at) noexcept {
    for (at++; at < text.size(); at++) {
        if (text[at] == '"') {
            return at + 1;
        }
        at += text[at] == '\\' ? 1 : 0;
    }
    return Bytes::npos;
}

size_t token_end(Bytes text, size_t at) noexcept {
    while (at < text.size() && !is_space(text[at]) && text[at] != ';' && text[at] != ',' && text[at] != '=' &&
           text[at] != '"') {
        at++;
    }
    return at;
}

struct Parameter {
    Bytes name;
    Bytes value;  // without quotes
};

// `name[=value]` at `at`, which moves behind it. False: none.
bool read_parameter(Bytes text, size_t* at, Parameter* out) noexcept {
    const size_t name_end = token_end(text, *at);
    out->name = base::slice(text, *at, name_end - *at);
    out->value = {};
    *at = skip_space(text, name_end);
    if (out->name.empty()) {
        return false;
    }
    if (*at >= text.size() || text[*at] != '=') {
        return true;
    }
    const size_t from = skip_space(text, *at + 1);
    if (from < text.size() && text[from] == '"') {
        const size_t end = quoted_end(text, from);
        if (end == Bytes::npos) {
            return false;
        }
        out->value = base::slice(text, from + 1, end - from - 2);
        *at = end;
    } else {
        *at = token_end(text, from);
        while (*at < text.size() && text[*at] == '=') {  // a URI without quotes
            *at = token_end(text, *at + 1);
        }
        out->value = base::slice(text, from, *at - from);
    }
    *at = skip_space(text, *at);
    return true;
}

// Relation types, with blanks between them.
bool has_hint(Bytes relations) noexcept {
    size_t at = skip_space(relations, 0);
    while (at < relations.size()) {
        size_t end = at;
        while (end < relations.size() && !is_space(relations[end])) {
            end++;
        }
        for (const Bytes known : kRelations) {
            if (base::equal_nocase(base::slice(relations, at, end - at), known)) {
                return true;
            }
        }
        at = skip_space(relations, end);
    }
    return false;
}

// `<target>` and its parameters at `at`, which moves behind them. Of several rel the first counts (RFC 8288 3.3).
bool read_link(Bytes text, size_t* at, bool* is_hint) noexcept {
    const size_t end = text.find('>', *at);
    bool has_rel = false;
    *is_hint = false;
    if (*at >= text.size() || text[*at] != '<' || end == Bytes::npos) {
        return false;
    }
    *at = skip_space(text, end + 1);
    while (*at < text.size() && text[*at] == ';') {
        Parameter parameter;
        *at = skip_space(text, *at + 1);
        if (*at == text.size() || text[*at] == ';' || text[*at] == ',') {
            continue;  // an empty one
        }
        if (!read_parameter(text, at, &parameter)) {
            return false;
        }
        if (!has_rel && base::equal_nocase(parameter.name, "rel")) {
            has_rel = true;
            *is_hint = has_hint(parameter.value);
        }
    }
    return *at == text.size() || text[*at] == ',';
}

bool is_plain(Bytes text) noexcept {
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            return false;
        }
    }
    return true;
}

size_t add_line(Bytes line, char* out, size_t size, size_t cap) noexcept {
    size_t at = skip_space(line, 0);
    while (at < line.size()) {
        if (line[at] == ',') {
            at = skip_space(line, at + 1);
            continue;
        }
        const size_t from = at;
        bool is_hint = false;
        if (!read_link(line, &at, &is_hint)) {
            return size;
        }
        const Bytes link = trim(base::slice(line, from, at - from));
        const size_t between = size == 0 ? 0 : 2;
        if (is_hint && is_plain(link) && size + between + link.size() <= cap) {
            std::memcpy(out + size, ", ", between);
            std::memcpy(out + size + between, link.data(), link.size());
            size += between + link.size();
        }
    }
    return size;
}

}  // namespace

size_t hints_of(const Fields& response, char* out, size_t cap) noexcept {
    size_t size = 0;
    for (const Field& line : response.lines("Link")) {
        size = add_line(line.value, out, size, cap);
    }
    return size;
}

}  // namespace slab_cache::http
