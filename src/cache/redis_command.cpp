#include "cache/redis_command.h"

#include <cstring>

namespace slab_cache::cache {
namespace {

char* write_line(char* to, char type, size_t n) noexcept {
    *to++ = type;
    to = base::put_decimal(to, n);
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

}  // namespace

size_t command_room(const Bytes* word, uint32_t count) noexcept {
    size_t n = kCommandPartRoom;
    for (uint32_t i = 0; i < count; i++) {
        n += kCommandPartRoom + word[i].size();
    }
    return n;
}

char* write_command_head(char* to, uint32_t count) noexcept { return write_line(to, '*', count); }

char* write_command_word(char* to, Bytes word) noexcept {
    to = write_line(to, '$', word.size());
    if (!word.empty()) {
        std::memcpy(to, word.data(), word.size());
        to += word.size();
    }
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

char* write_command(char* to, const Bytes* word, uint32_t count) noexcept {
    to = write_command_head(to, count);
    for (uint32_t i = 0; i < count; i++) {
        to = write_command_word(to, word[i]);
    }
    return to;
}

}  // namespace slab_cache::cache
