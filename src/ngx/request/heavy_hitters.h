// ngx/request/heavy_hitters.h — where the time goes, by route: host and path, without arguments.
//
// Cost        nothing but a countdown on most hits: those are sampled (cache/sketch.h); every request that went to the origin is noted.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

void note_served(Ctx* ctx) noexcept;             // from the store; ctx->saved_us is what it saved
void note_lost(Ctx* ctx, uint64_t us) noexcept;  // not from the store; ctx->reason says why

// How a route is known to the sketches: "host/path". False when memory ran out.
bool route_name(ngx_pool_t* pool, Bytes host, Bytes uri, Bytes* name) noexcept;
uint64_t route_fingerprint(Zone* zone, Bytes name) noexcept;

}  // namespace slab_cache::ngx
