// cache/redis_reply.h — what a Redis server says: replies as bounded trees of values.
//
// What        hiredis' reader finds the replies; the values it builds are made here, in memory of this reader. A server is a
//             stranger: the number of values, the bytes of one reply and the bytes that wait for the rest of a reply are bounded.
// Ownership   a reply, its elements and their text live until the next call of next(), feed() or close(). What was fed is its
//             owner's, and lies still until next() says kMore or kBroken, or close() was called.
// Threading   one thread.
// Errors      once something was nonsense or too large, next() says kBroken for good: the connection is of no use any more.
// Cost        each byte is copied twice (hiredis' buffer, the reply); memory of a large reply is given back behind it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

struct redisReader;

namespace slab_cache::cache {

using base::Bytes;

enum class ReplyKind : uint8_t { kNil, kText, kStatus, kError, kInteger, kArray };

struct Reply {
    ReplyKind kind = ReplyKind::kNil;
    uint32_t count = 0;  // elements of an array
    const Reply* element = nullptr;
    Bytes text;  // kText, kStatus, kError
    int64_t integer = 0;

    bool is_array() const noexcept { return kind == ReplyKind::kArray; }
    bool is_text() const noexcept { return kind == ReplyKind::kText || kind == ReplyKind::kStatus; }
    bool is_error() const noexcept { return kind == ReplyKind::kError; }
    // Of an error or a status: its first word is this one.
    bool says(Bytes word) const noexcept {
        return base::starts_with(text, word) && (text.size() == word.size() || text[word.size()] == ' ');
    }
    // Nil where there is no such element.
    const Reply& at(uint32_t i) const noexcept;
};

struct ReplyLimits {
    size_t bytes = 1024 * 1024;   // of one reply as it is sent, and of its values
    uint32_t values = 64 * 1024;  // of one reply, nested ones included
};

class ReplyReader {
public:
    enum class Next : uint8_t { kReply, kMore, kBroken };

    // False when memory ran out. Closed before, or fresh.
    bool open(const ReplyLimits& limits) noexcept;
    void close() noexcept;  // idempotent

    void feed(Bytes bytes) noexcept;  // REQUIRES that next() said kMore since the last one
    Next next(const Reply** reply) noexcept;
    Bytes why() const noexcept;  // of kBroken

    // ---- for the functions that hiredis calls ----
    void* take(size_t bytes) noexcept;
    bool count_values(int n) noexcept;

private:
    struct Chunk {
        Chunk* next;
        size_t size;
    };
    void drop_values() noexcept;
    bool feed_piece() noexcept;

    redisReader* reader_ = nullptr;
    Bytes fed_;  // what hiredis has not got yet
    ReplyLimits limits_;
    Chunk* chunks_ = nullptr;  // the newest first; values are taken from that one
    size_t used_ = 0;          // of the newest
    size_t taken_ = 0;         // of this reply
    uint32_t values_ = 0;
    bool broken_ = false;
    const char* why_ = "";
};

}  // namespace slab_cache::cache
