#include "cache/memcached_reply.h"

#include "cache/fleet_id.h"

namespace slab_cache::cache {
namespace {

constexpr Bytes kEnd = "\r\n";

struct Word {
    Bytes word;
    MemcachedStatus status;
    bool has_text;  // what follows is for people
};
constexpr Word kWords[] = {
    {"HD", MemcachedStatus::kDone, false},
    {"VA", MemcachedStatus::kValue, false},
    {"EN", MemcachedStatus::kNone, false},
    {"NF", MemcachedStatus::kNone, false},
    {"NS", MemcachedStatus::kNotStored, false},
    {"EX", MemcachedStatus::kChanged, false},
    {"MN", MemcachedStatus::kNoop, false},
    {"SERVER_ERROR", MemcachedStatus::kServerError, true},
    {"CLIENT_ERROR", MemcachedStatus::kClientError, true},
    {"ERROR", MemcachedStatus::kClientError, true},
};

// Takes the next word off; false at the end.
bool take_word(Bytes* line, Bytes* word) noexcept {
    *line = base::slice(*line, line->find_first_not_of(' '));
    *word = base::slice(*line, 0, line->find(' '));
    *line = base::slice(*line, word->size());
    return !word->empty();
}

bool read_ttl(Bytes text, int64_t* sec) noexcept {
    uint64_t n = 0;
    if (text == "-1") {
        *sec = -1;
        return true;
    }
    const bool is_sound = parse_number(text, &n) && n <= INT64_MAX;
    *sec = is_sound ? static_cast<int64_t>(n) : -1;
    return is_sound;
}

bool read_client_flags(Bytes text, uint32_t* flags) noexcept {
    uint64_t n = 0;
    const bool is_sound = parse_number(text, &n) && n <= UINT32_MAX;
    *flags = static_cast<uint32_t>(n);
    return is_sound;
}

bool read_flag(Bytes flag, MemcachedReply* out) noexcept {
    const Bytes token = base::slice(flag, 1);
    switch (flag.front()) {
    case 'W':
        out->won = true;
        return token.empty();
    case 'Z':
        out->is_taken = true;
        return token.empty();
    case 'X':
        out->is_stale = true;
        return token.empty();
    case 't':
        return read_ttl(token, &out->ttl_sec);
    case 'c':
        return parse_number(token, &out->cas);
    case 'f':
        return read_client_flags(token, &out->client_flags);
    default:
        return true;
    }
}

bool read_line(Bytes line, MemcachedReply* out, uint64_t* value_bytes) noexcept {
    Bytes word;
    (void) take_word(&line, &word);
    const Word* found = nullptr;
    for (const Word& row : kWords) {
        if (row.word == word) {
            found = &row;
        }
    }
    if (found == nullptr) {
        return false;
    }
    out->status = found->status;
    if (found->has_text) {
        out->text = base::slice(line, line.find_first_not_of(' '));
        return true;
    }
    if (found->status == MemcachedStatus::kValue && !(take_word(&line, &word) && parse_number(word, value_bytes))) {
        return false;
    }
    while (take_word(&line, &word)) {
        if (!read_flag(word, out)) {
            return false;
        }
    }
    return *value_bytes <= kMaxMemcachedValue;
}

}  // namespace

MemcachedRead read_memcached(Bytes bytes, uint64_t max_value, MemcachedReply* out) noexcept {
    constexpr MemcachedRead kBroken = {MemcachedNext::kBroken, 0};
    *out = {};
    const Bytes front = base::slice(bytes, 0, kMaxMemcachedLine);
    const size_t end = front.find('\n');
    if (end == Bytes::npos) {
        return front.size() == kMaxMemcachedLine ? kBroken : MemcachedRead{MemcachedNext::kMore, 0};
    }
    uint64_t value_bytes = 0;
    if (end == 0 || front[end - 1] != '\r' || !read_line(base::slice(front, 0, end - 1), out, &value_bytes)) {
        return kBroken;
    }
    const uint64_t line_bytes = end + 1;
    if (out->status != MemcachedStatus::kValue) {
        return {MemcachedNext::kReply, line_bytes};
    }
    const uint64_t whole = line_bytes + value_bytes + kEnd.size();
    if (value_bytes > max_value) {
        return {MemcachedNext::kTooLarge, whole};
    }
    if (bytes.size() < whole) {
        return {MemcachedNext::kMore, whole};
    }
    out->value = base::slice(bytes, line_bytes, value_bytes);
    return base::slice(bytes, line_bytes + value_bytes, kEnd.size()) == kEnd
               ? MemcachedRead{MemcachedNext::kReply, whole}
               : kBroken;
}

}  // namespace slab_cache::cache
