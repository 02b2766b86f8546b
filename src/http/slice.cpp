#include "http/slice.h"

#include "http/syntax.h"

namespace slab_cache::http {

namespace {

constexpr uint64_t kMost = INT64_MAX;

void skip_blanks(Bytes* rest) noexcept {
    while (!rest->empty() && rest->front() == ' ') {
        rest->remove_prefix(1);
    }
}

bool take(Bytes* rest, Bytes text) noexcept {
    if (!base::starts_with(*rest, text)) {
        return false;
    }
    rest->remove_prefix(text.size());
    return true;
}

bool take_number(Bytes* rest, uint64_t* out) noexcept {
    if (rest->empty() || !is_digit(rest->front())) {
        return false;
    }
    *out = 0;
    while (!rest->empty() && is_digit(rest->front())) {
        const auto digit = static_cast<uint64_t>(rest->front() - '0');
        if (*out > (kMost - digit) / 10) {
            return false;
        }
        *out = *out * 10 + digit;
        rest->remove_prefix(1);
    }
    return true;
}

bool has_length(const Fields& fields, uint64_t length) noexcept {
    for (const Field& line : fields.lines("Content-Length")) {
        uint64_t told = 0;
        Bytes rest = trim(line.value);
        if (!take_number(&rest, &told) || !rest.empty() || told != length) {
            return false;
        }
    }
    return true;
}

}  // namespace

bool parse_slice(Bytes range, ByteRange* out) noexcept {
    return take(&range, "bytes=") && take_number(&range, &out->first) && take(&range, "-") &&
           take_number(&range, &out->last) && range.empty() && out->first <= out->last;
}

bool parse_content_range(Bytes value, ContentRange* out) noexcept {
    if (!take(&value, "bytes ")) {
        return false;
    }
    skip_blanks(&value);
    bool ok = take_number(&value, &out->range.first);
    skip_blanks(&value);
    ok = ok && take(&value, "-");
    skip_blanks(&value);
    ok = ok && take_number(&value, &out->range.last);
    skip_blanks(&value);
    ok = ok && take(&value, "/");
    skip_blanks(&value);
    ok = ok && take_number(&value, &out->length);
    skip_blanks(&value);
    return ok && value.empty() && out->range.first <= out->range.last && out->range.last < out->length;
}

bool answers_slice(const ByteRange& slice, const Fields& fields, ContentRange* out) noexcept {
    size_t lines = 0;
    bool ok = false;
    for (const Field& line : fields.lines("Content-Range")) {
        lines++;
        ok = parse_content_range(line.value, out);
    }
    return ok && lines == 1 && out->range.first == slice.first &&
           (out->range.last == slice.last || (out->range.last < slice.last && out->range.last == out->length - 1)) &&
           has_length(fields, out->range.length());
}

}  // namespace slab_cache::http
