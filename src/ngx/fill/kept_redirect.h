// ngx/fill/kept_redirect.h — what the client that leads a fill gets of an answer that is acted on (redirect.h).
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

// Copies the answer to `fields` for the client that asked. False when memory ran out.
bool keep_redirect(Ctx* leader, const http::Fields& fields) noexcept;
// The lines that nginx keeps of a status: Location, WWW-Authenticate. False when memory ran out.
bool keep_status_lines(Ctx* leader, ngx_http_request_t* from) noexcept;
// One of these lines; any other is passed over. False when memory ran out.
bool put_status_line(ngx_http_request_t* r, Bytes name, Bytes value) noexcept;

}  // namespace slab_cache::ngx
