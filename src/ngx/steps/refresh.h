// ngx/steps/refresh.h — refreshing an object that is being served.
#pragma once

#include "ngx/glue/ngx.h"

#include "http/reuse.h"
#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

// Starts a background fill of ctx->pin's key under the key's lease. False when somebody else is at it, or the origin failed a
// moment ago. Never holds this request or its connection.
bool refresh_in_background(Ctx* ctx) noexcept;

// slab_cache_refresh: probabilistic early refresh, the more likely the nearer the end of freshness and the dearer the fill (XFetch,
// Vattani et al., VLDB 2015).
void maybe_refresh_early(Ctx* ctx, const http::StoredFacts& facts) noexcept;

}  // namespace slab_cache::ngx
