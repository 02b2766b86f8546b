// ngx/tee.h — the answer to a POST that may serve later GETs (RFC 9110 §9.3.3).
//
// What        with POST in slab_cache_methods, a POST goes to the origin as it is. If its answer has explicit freshness and a
//             Content-Location equal to the target, it is copied into the cache under the GET of that URL while it passes.
// Order       such a POST also invalidates what is stored there (RFC 9111 §4.4), and any purge since the POST began must win: the copy is
//             born at its own invalidation, and only if nothing else was purged in between.
#pragma once

#include "ngx/ngx.h"

#include "ngx/ctx.h"

namespace slab_cache::ngx {

void tee_header(ngx_http_request_t* r, Ctx* ctx) noexcept;   // decides, after the invalidation
void tee_body(Ctx* ctx, ngx_chain_t* in) noexcept;           // copies, consumes nothing

}  // namespace slab_cache::ngx
