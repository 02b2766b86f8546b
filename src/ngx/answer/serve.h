// ngx/answer/serve.h — sending an object from the zone.
//
// The header is put together from the stored head; the body goes out as bufs that point into the zone (read-only, never
// by sendfile). A growing object is streamed as it arrives. The pin is released by the Ctx's cleanup.
// Threading   one worker's event loop; never waits: a growing object goes on by events (serve_growing.h).
// Errors      before the header: a status or NGX_ERROR. Behind it: the connection ends, as where an origin breaks off.
// Cost        on the request's pool a buf and a link for each run of the body. A slow client's copy: spool.h.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

ngx_int_t serve_handler(ngx_http_request_t* r) noexcept;  // content handler; REQUIRES ctx->pin

}  // namespace slab_cache::ngx
