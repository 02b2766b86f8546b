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

}  // namespace slab_cache::ngx
