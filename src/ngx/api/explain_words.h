// ngx/api/explain_words.h — what the cache knows of a URL, in a sentence or two.
#pragma once

#include "ngx/glue/ngx.h"

#include <jansson.h>

#include "http/reason.h"

namespace slab_cache::ngx {

// `entries`: of entry_json(). `why`: where nothing of that may be served. `complete`: the whole zone was looked through.
json_t* sentence_json(const json_t* entries, http::Reason why, bool complete) noexcept;

}  // namespace slab_cache::ngx
