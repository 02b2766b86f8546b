// ngx/answer/serve.h — sending an object from the zone.
//
// The header is put together from the stored head; the body goes out as bufs that point into the zone (read-only, never
// by sendfile). A growing object is streamed as it arrives. The pin is released by the Ctx's cleanup.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

ngx_int_t serve_handler(ngx_http_request_t* r) noexcept;   // content handler; REQUIRES ctx->pin

}  // namespace slab_cache::ngx
