// ngx/fill/origin_controls.h — the words that controls.h keeps, as they stand in an origin's answer.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/clone_fill.h"
#include "ngx/fill/merge_304.h"
#include "ngx/fill/origin_response.h"

namespace slab_cache::ngx {

// Puts them in, in place of those that are there. `lines` has room for kMostControls more. True when there are any.
bool keep_controls(const Fetch* fetch, const OriginResponse& origin, Lines* lines) noexcept;
// Does what they say for an answer that is handed on without being stored.
bool obey_controls_of(ngx_http_request_t* r, const CloneFill* fill) noexcept;

}  // namespace slab_cache::ngx
