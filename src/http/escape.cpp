#include "http/escape.h"

#include "http/syntax.h"

namespace slab_cache::http {
namespace {

int hex_value(char c) noexcept {
    const char low = base::lower(c);
    return is_digit(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

}  // namespace

bool needs_escape(char c) noexcept {
    const auto u = static_cast<unsigned char>(c);
    return u <= 0x20 || u >= 0x7F;
}

size_t escape(Bytes from, char* to) noexcept {
    static const char digit[] = "0123456789ABCDEF";
    size_t n = 0;
    for (char c : from) {
        if (!needs_escape(c)) {
            to[n++] = c;
            continue;
        }
        const auto u = static_cast<unsigned char>(c);
        to[n++] = '%';
        to[n++] = digit[u >> 4];
        to[n++] = digit[u & 15];
    }
    return n;
}

size_t unescape(Bytes from, char* to) noexcept {
    size_t n = 0;
    for (size_t i = 0; i < from.size(); i++) {
        if (from[i] != '%') {
            to[n++] = from[i];
            continue;
        }
        if (++i == from.size()) {
            break;
        }
        const int high = hex_value(from[i]);
        if (high < 0) {
            to[n++] = from[i];
            continue;
        }
        if (++i == from.size()) {
            break;
        }
        const int low = hex_value(from[i]);
        if (low >= 0) {
            to[n++] = static_cast<char>(high << 4 | low);
        }
    }
    return n;
}

bool find_argument(Bytes query, Bytes name, Bytes* value) noexcept { return next_argument(&query, name, value); }

bool next_argument(Bytes* query, Bytes name, Bytes* value) noexcept {
    while (!query->empty()) {
        const size_t end = query->find('&');
        const Bytes one = base::slice(*query, 0, end);
        const size_t equals = one.find('=');
        *query = end == Bytes::npos ? Bytes{} : base::slice(*query, end + 1);
        if (equals != Bytes::npos && base::equal_nocase(base::slice(one, 0, equals), name)) {
            *value = base::slice(one, equals + 1);
            return true;
        }
    }
    return false;
}

Bytes unknown_argument(Bytes query, Bytes known) noexcept {
    while (!query.empty()) {
        const size_t end = query.find('&');
        const Bytes name = base::slice(query, 0, query.find_first_of("=&"));
        query = end == Bytes::npos ? Bytes{} : base::slice(query, end + 1);
        if (end == 0) {
            continue;
        }
        Bytes rest = known;
        bool is_known = false;
        bool may_repeat = false;
        while (!rest.empty() && !is_known) {
            const size_t space = rest.find(' ');
            Bytes one = base::slice(rest, 0, space);
            may_repeat = base::ends_with(one, "*");
            one = base::slice(one, 0, may_repeat ? one.size() - 1 : one.size());
            is_known = base::equal_nocase(one, name);
            rest = space == Bytes::npos ? Bytes{} : base::slice(rest, space + 1);
        }
        Bytes again;
        if (!is_known || (!may_repeat && find_argument(query, name, &again))) {
            return name.empty() ? Bytes("=") : name;
        }
    }
    return {};
}

bool read_decimal(Bytes text, uint64_t low, uint64_t high, uint64_t* value) noexcept {
    uint64_t n = 0;
    for (char c : text) {
        if (!is_digit(c) || n > (UINT64_MAX - 9) / 10) {
            return false;
        }
        n = n * 10 + static_cast<uint64_t>(c - '0');
    }
    if (text.empty() || n < low || n > high) {
        return false;
    }
    *value = n;
    return true;
}

bool may_have_dot_segments(Bytes path) noexcept {
    for (size_t i = 1; i < path.size(); i++) {
        if (path[i - 1] == '/' && (path[i] == '/' || path[i] == '.')) {
            return true;
        }
    }
    return false;
}

size_t remove_dot_segments(char* path, size_t size) noexcept {
    size_t out = 0;  // what is kept so far; each segment with the slash in front of it
    for (size_t at = 0; at < size;) {
        size_t end = at + 1;
        while (end < size && path[end] != '/') {
            end++;
        }
        const Bytes segment{path + at + 1, end - at - 1};
        const bool is_last = end == size;
        if (segment == "..") {
            while (out > 0 && path[--out] != '/') {
            }
        }
        if (segment == "." || segment == ".." || segment.empty()) {
            if (is_last) {
                path[out++] = '/';
            }
        } else {
            std::memmove(path + out, path + at, end - at);
            out += end - at;
        }
        at = end;
    }
    return out;
}

}  // namespace slab_cache::http
