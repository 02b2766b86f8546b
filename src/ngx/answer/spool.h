// ngx/answer/spool.h — clients that are sent a copy, so that what they take their time for is not the zone's.
//
// What        A client that reads slowly pins its object for as long. Where a worker's clients hold enough (Store::is_enough_held),
//             or half of its pins, the next ones are sent a copy: small bodies from memory, others from a temporary file in
//             client_body_temp_path, as nginx sends slow clients what it has from an origin. Then the object is let go.
// Cost        a copy; for large ones into the page cache. No request at the origin.
// Errors      where no file can be written (no space, no descriptor), the object is pinned after all.
// Ownership   the file is the request pool's, and has no name.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

inline constexpr int64_t kSmallBody = 32 * 1024;  // copied to memory
inline constexpr int64_t kHeldBody = 8 * 1024;    // above it bytes count, below it pins

// Of ctx->pin, before the header is built.
bool must_copy(ngx_http_request_t* r, Ctx* ctx) noexcept;
// The head in memory of the request's own: the header's fields are views of it. False: no memory, or nonsense.
bool take_head(ngx_http_request_t* r, Ctx* ctx) noexcept;
// The object is no more this request's. REQUIRES take_head(), and nothing of it is on its way to the client.
void release_object(Ctx* ctx) noexcept;

// Memory bufs of `chain` become one of the file, a free one of ctx's; the others are free. False: they are as they were.
bool spool(ngx_http_request_t* r, Ctx* ctx, ngx_chain_t** chain) noexcept;

}  // namespace slab_cache::ngx
