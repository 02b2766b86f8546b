// cache/memcached_reply.h — what a memcached server says to meta commands (mg, ms, md, mn), read where it lies.
//
// What        A reply is a line, and behind "VA n" n bytes and CRLF. The caller collects bytes until a reply is whole; it is told how
//             many that will be as soon as the line is there. Flags that are not known are passed over.
// Ownership   a reply's value and text are views of the bytes that were given.
// Threading   pure function.
// Errors      kBroken: nonsense; the connection is of no use any more, for what follows would be taken for something else.
// Cost        one walk over the line at each call; nothing is allocated, no byte is copied.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::cache {

using base::Bytes;

inline constexpr size_t kMaxMemcachedLine = 2048;
inline constexpr uint64_t kMaxMemcachedValue = 1024ull * 1024 * 1024;  // the largest that a server can be told to keep

enum class MemcachedStatus : uint8_t {
    kDone,         // HD: it was found, or done
    kValue,        // VA
    kNone,         // EN, NF: there is nothing
    kNotStored,    // NS
    kChanged,      // EX: it is not the one that C named
    kNoop,         // MN
    kServerError,  // SERVER_ERROR: too large, out of memory
    kClientError,  // CLIENT_ERROR, ERROR: it does not understand us
};

struct MemcachedReply {
    MemcachedStatus status = MemcachedStatus::kDone;
    Bytes value;
    Bytes text;                 // of an error
    bool won = false;           // W: whoever asked is to fill it
    bool is_taken = false;      // Z: somebody else is
    bool is_stale = false;      // X
    uint32_t client_flags = 0;  // f: what its writer wrote beside it
    int64_t ttl_sec = -1;       // t; -1: it says none, or for ever
    uint64_t cas = 0;           // c

    bool is_error() const noexcept {
        return status == MemcachedStatus::kServerError || status == MemcachedStatus::kClientError;
    }
};

enum class MemcachedNext : uint8_t {
    kReply,
    kMore,
    kTooLarge,  // a value of more than max_value: the next `bytes` bytes are to be passed over
    kBroken,
};

struct MemcachedRead {
    MemcachedNext next;
    // kReply: of the reply, the next one begins behind them. kTooLarge: the same. kMore: that the reply has, where its line is there,
    // else 0.
    uint64_t bytes;
};

MemcachedRead read_memcached(Bytes bytes, uint64_t max_value, MemcachedReply* out) noexcept;

}  // namespace slab_cache::cache
