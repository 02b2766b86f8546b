// ngx/request/find_object.h — the object for a request: by its key, through a variant marker, or one that is still growing.
//
// Threading   one worker's event loop.
// Ownership   what is in ctx->pin the Ctx's cleanup releases.
// Errors      nonsense in the zone is counted, and is a miss.
// Cost        a Store::find() for each slot of the URL up to ours, and for each spec of a marker. A variant's key is on the
//             request's pool.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

enum class Found : uint8_t { kNothing, kUnpurged, kSoftPurged, kDoubted, kFailed };

// Pins the object for ctx->key in ctx->pin. Leaves ctx->digest and variant_key at what was found, or is to be filled.
// kUnpurged says nothing about age. kFailed: do without the cache.
Found find_object(Ctx* ctx) noexcept;

// Leaves ctx->key at the slot in which its object lies, or would, beside the one with the key `taken`. Pins nothing. False: do
// without the cache.
bool find_place_beside(Ctx* ctx, Bytes taken) noexcept;

// After the lease was taken: has somebody finished the very fill that we are about to start?
bool appeared_meanwhile(Ctx* ctx) noexcept;

// The fill under ctx->ticket streams: pins its object if it is for requests like ours, and fresh.
bool join_stream(Ctx* ctx) noexcept;

}  // namespace slab_cache::ngx
