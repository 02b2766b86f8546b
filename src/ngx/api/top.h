// ngx/api/top.h — GET …/top?by=saved|lost|bytes|hits[&n=]: heavy hitters.
//
// What        saved and hits: routes (host and path) served from the cache, sampled; lost: routes whose requests went to the
//             origin, with the last reason, "what should I cache?"; bytes: the largest objects, of a walk of at most 20 ms.
//             Times and counts are halved every hour.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t send_top(Call* call) noexcept;

}  // namespace slab_cache::ngx
