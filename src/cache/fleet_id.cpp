#include "cache/fleet_id.h"

namespace slab_cache::cache {

bool parse_number(Bytes text, uint64_t* out) noexcept {
    uint64_t n = 0;
    for (const char c : text) {
        const auto digit = static_cast<uint64_t>(c - '0');
        if (c < '0' || c > '9' || n > (UINT64_MAX - digit) / 10) {
            return false;
        }
        n = 10 * n + digit;
    }
    *out = n;
    return !text.empty();
}

bool parse_stream_id(Bytes text, StreamId* out) noexcept {
    const size_t dash = text.find('-');
    return dash != Bytes::npos && parse_number(base::slice(text, 0, dash), &out->ms) &&
           parse_number(base::slice(text, dash + 1), &out->seq);
}

StreamIdText::StreamIdText(const StreamId& id) noexcept {
    char* end = base::put_decimal(text, id.ms);
    *end++ = '-';
    size = static_cast<size_t>(base::put_decimal(end, id.seq) - text);
}

NumberText::NumberText(uint64_t n) noexcept { size = static_cast<size_t>(base::put_decimal(text, n) - text); }

}  // namespace slab_cache::cache
