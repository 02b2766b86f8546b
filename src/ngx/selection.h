// ngx/selection.h — what one purge is to hit, collected from whatever language the client speaks.
//
// Ownership   a Selection's memory is on its request's pool; the selectors are hashes, no text is kept.
// Errors      select_…() return false for what cannot be meant (or when memory ran out), and add nothing then.
#pragma once

#include "ngx/ngx.h"

#include "cache/key.h"
#include "ngx/zone.h"

namespace slab_cache::ngx {

struct SelectedGlob {
    Bytes host;
    Bytes pattern;
};

struct Selection {
    ngx_http_request_t* request;
    Zone* zone;
    uint64_t* selector;
    uint32_t count;
    uint32_t capacity;
    SelectedGlob* glob;   // patterns, at most kMaxGlobs
    uint32_t glob_count;
    uint32_t accepted;    // things named, as the client counts
    bool all;
    bool soft;
};

inline constexpr uint32_t kMaxGlobs = 32;   // in one request

bool init_selection(Selection* s, ngx_http_request_t* r, Zone* zone, size_t things) noexcept;

bool select_url(Selection* s, Bytes url) noexcept;         // a trailing "/*": everything below; other '*': a pattern
bool select_prefix(Selection* s, Bytes url) noexcept;      // of whole path segments, the page at the prefix included
bool select_host(Selection* s, Bytes host) noexcept;
bool select_tag(Selection* s, Bytes tag) noexcept;
bool select_tags(Selection* s, Bytes list) noexcept;       // separated by blanks and commas; true if there was one
bool select_request_url(Selection* s, const cache::Url& url) noexcept;   // of a PURGE
void select_all(Selection* s) noexcept;

bool is_empty(const Selection& s) noexcept;

// Visible to every worker when it returns. The purge counter after it.
uint64_t purge_selection(Selection* s) noexcept;
// Purges, and answers {"seq":n,"accepted":n}.
ngx_int_t purge_and_answer(Selection* s) noexcept;

}  // namespace slab_cache::ngx
