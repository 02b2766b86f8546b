// cache/purge_batch.h — what one purge is to hit, collected from whatever language the client speaks.
//
// Ownership   a Selection's memory is its arena's; the selectors are hashes, of text only patterns are kept.
// Errors      select_…() return false for what cannot be meant (or when memory or room ran out), and add nothing then.
#pragma once

#include "base/arena.h"
#include "cache/key.h"
#include "cache/url.h"

namespace slab_cache::cache {

struct SelectedGlob {
    Bytes host;
    Bytes pattern;
};

// What was meant, as it was understood: a purge answers with it.
enum class Thing : uint8_t { kUrl, kPrefix, kHost, kPattern, kTag, kTags };
struct Understood {
    Thing thing;
    Bytes host;  // of a tag: none; of tags: those that must all be there, with spaces between them
    Bytes text;  // path, pattern or tag; of tags: those that must not
    size_t args = static_cast<size_t>(-1);  // of a URL or pattern: where its '?' stands in `text`, if it has one
    bool with_page = false;                 // of a prefix: the page at the prefix goes too
};
inline constexpr uint32_t kMaxUnderstood = 32;  // the first of them, unless `keeps_all`

struct Selection {
    base::Arena arena;
    const uint8_t* secret;
    Asker asker;
    uint64_t* selector;
    uint32_t count;
    uint32_t capacity;
    uint64_t*
        inner;  // the same URLs as what is behind the clients' (key.h); behind `selector` once join_inner() was called
    uint32_t inner_count;
    SelectedGlob* glob;  // patterns, at most kMaxGlobs
    uint32_t glob_count;
    uint32_t accepted;  // things named, as the client counts
    bool all;
    bool soft;
    Understood* understood;  // nullptr where memory ran out
    uint32_t understood_count;
    uint32_t understood_room;
    bool keeps_all;  // set before make_room(): all things are noted, for others to be told (fleet_record.h)
};

inline constexpr uint32_t kMaxGlobs = 32;  // in one request

// Empties it, with room for that many selectors (a prefix takes two, all others one). `arena`, `secret`, `asker` and `keeps_all` are
// set before. False when memory ran out.
bool make_room(Selection* s, size_t selectors) noexcept;

bool select_url(Selection* s,
                Bytes url) noexcept;                         // a trailing "/*": everything below; other '*': a pattern
bool select_exactly(Selection* s, const Url& url) noexcept;  // a '*' is a star
bool select_prefix(Selection* s,
                   Bytes url) noexcept;  // of whole path segments, the page at the prefix included
bool select_host(Selection* s, Bytes host) noexcept;
// Responses' tags are split on space and comma: what has one of them in it is no tag that anything carries.
bool is_tag(Bytes text) noexcept;
bool select_tag(Selection* s, Bytes tag) noexcept;
bool select_request_url(Selection* s, const Url& url) noexcept;  // of a PURGE
void select_all(Selection* s) noexcept;

// What carries all of some tags and none of others. False: a tag that is none, none that must be there, or too many.
inline constexpr uint32_t kMaxTagsOfRule = 28;
struct TagSet {
    const Bytes* all;
    uint32_t all_count;
    const Bytes* none;
    uint32_t none_count;
};
bool select_tags(Selection* s, const TagSet& tags) noexcept;

bool is_empty(const Selection& s) noexcept;
// All that is to be purged, in one piece: how many there are from `selector` on. Nothing may be added afterwards.
uint32_t join_inner(Selection* s) noexcept;

}  // namespace slab_cache::cache
