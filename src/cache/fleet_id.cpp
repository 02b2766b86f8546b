#include "cache/fleet_id.h"

namespace slab_cache::cache {
namespace {

size_t print(uint64_t n, char* to) noexcept {
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = static_cast<char>('0' + n % 10);
        n /= 10;
    } while (n != 0);
    for (size_t i = 0; i < count; i++) {
        to[i] = digits[count - 1 - i];
    }
    return count;
}

}  // namespace

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
    return dash != Bytes::npos && parse_number(base::slice(text, 0, dash), &out->ms)
           && parse_number(base::slice(text, dash + 1), &out->seq);
}

StreamIdText::StreamIdText(const StreamId& id) noexcept {
    size = print(id.ms, text);
    text[size++] = '-';
    size += print(id.seq, text + size);
}

NumberText::NumberText(uint64_t n) noexcept {
    size = print(n, text);
}

}  // namespace slab_cache::cache
