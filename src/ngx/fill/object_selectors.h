// ngx/fill/object_selectors.h — what may purge an object: the selectors of its URL and its tags.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/key.h"
#include "http/fields.h"
#include "ngx/fill/fill.h"

namespace slab_cache::ngx {

// The fill's identity first, then selectors of its URL, outer and inner, and of the response's tags, into cache::kMaxSelectors places. 0: more than fit (the response
// must not be stored: a purge of what was left out would miss it).
uint32_t collect_selectors(Fill* fill, const http::Fields& response, uint64_t* out) noexcept;
// The same, and all those of fill->stale: a 304 need not repeat the tags.
uint32_t merge_selectors(Fill* fill, const http::Fields& response, uint64_t* out) noexcept;

// Tag fields are between the application and us: not stored, not sent on, unless slab_cache_tags names other sources.
bool is_tag_line(const LocConf* conf, Bytes name) noexcept;

}  // namespace slab_cache::ngx
