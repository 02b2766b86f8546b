// ngx/glue/request_body.h — a request's body in one piece.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

// REQUIRES that nginx has read it. False when it is longer than `limit`, or memory or the temporary file failed.
bool whole_body(ngx_http_request_t* r, size_t limit, Bytes* out) noexcept;

}  // namespace slab_cache::ngx
