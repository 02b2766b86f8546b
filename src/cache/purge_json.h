// cache/purge_json.h — purges as JSON: our own, Cloudflare's (the same with other names), Fastly's.
//
// What        {"urls":[],"prefixes":[],"hosts":[],"tags":[],"globs":[],"tags_all":[],"not":[],"all":false,"mode":"hard"|"soft"}, and
//             "files", "purge_everything" and "invalidate_everything". Unknown fields and wrong types are errors that say what was wrong where.
#pragma once

#include "base/bytes.h"
#include "cache/purge_batch.h"

namespace slab_cache::cache {

inline constexpr size_t kMaxJsonItems = 100000;

// What is wrong with a body, for people.
struct Problem {
    char text[256];
    size_t size = 0;
    Bytes view() const noexcept { return {text, size}; }
};

// Makes room in `to`, whose arena, secret and asker are set, and selects what the body names.
bool read_purge_json(Bytes body, Selection* to, Problem* problem) noexcept;

// {"surrogate_keys": ["a", "b"]}: calls `put` for each until it returns false. False then, and for any other body.
using PutKeyFn = bool (*)(Bytes key, void* data) noexcept;
bool read_surrogate_keys(Bytes body, PutKeyFn put, void* data) noexcept;

}  // namespace slab_cache::cache
