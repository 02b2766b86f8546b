// ngx/fill/object_selectors.h — what may purge an object: the selectors of its URL and its tags.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/selector_list.h"
#include "http/fields.h"
#include "http/reason.h"
#include "ngx/fill/fetch.h"

namespace slab_cache::ngx {

// The fill's identity first, then selectors of its URL, outer and inner, and of the response's tags; and all those of `old`, where
// there is one: a 304 need not repeat the tags. Anything but kNone: the response must not be stored.
http::Reason collect_selectors(Fetch* fetch, const http::Fields& response, const shm::Pin& old,
                               cache::SelectorList* to) noexcept;

// All tags that the selectors above are made of, in one text, those in `old_text` first. Empty: there are none. False when memory ran
// out.
bool tag_text(Fetch* fetch, const http::Fields& response, Bytes old_text, Bytes* text) noexcept;
// The object's selectors are those of its URL: it has no tags.
bool has_names_only(Fetch* fetch, const shm::Pin& object) noexcept;

}  // namespace slab_cache::ngx
