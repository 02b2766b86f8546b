// ngx/steps/hint_early.h — a 103 with the URL's remembered hints, to a browser that waits for the origin.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

// `ctx` was looked up and not found fit, and its answer is being asked for. Sends at most one 103, and only to who navigates there
// (Sec-Fetch-Mode): nobody else could use it.
void hint_early(Ctx* ctx) noexcept;

}  // namespace slab_cache::ngx
