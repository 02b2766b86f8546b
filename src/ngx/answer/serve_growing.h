// ngx/answer/serve_growing.h — sending a body that is still arriving.
//
// What        after the header has gone, the reader is woken whenever its object has grown, sends what is there, and waits
//             again. A slow client is written to when its socket takes more; it holds nobody. If the fill fails, the
//             connection ends as a truncated response of the origin would.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

// Where the client's part of the body ends, counted from the object's first byte: a range may end before the whole does.
// UINT64_MAX: with the body. Once nginx's range filter has seen the header.
uint64_t end_of_answer(const Ctx* ctx) noexcept;

ngx_int_t start_stream(ngx_http_request_t* r, Ctx* ctx) noexcept;  // NGX_DONE, or an error
void resume_stream(Ctx* ctx) noexcept;                             // from the waiter's event

}  // namespace slab_cache::ngx
