// ngx/answer/relay.h — a response that is not stored, handed from its fill to the client that caused it.
//
// What        The header is copied to the client's request; the body goes through a bounded queue of buffers on the client's
//             pool. When the client is slow the queue fills, the fill stops reading its upstream, and goes on when there is room:
//             nobody's memory grows.
// Ownership   Ctx::relay lives on the client's pool. The fill may end first; the queue then empties by itself.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"
#include "ngx/fill/fill.h"

namespace slab_cache::ngx {

// Fill's side.
bool start_relay(Ctx* leader, Fill* fill) noexcept;
void relay_bytes(Ctx* leader, Bytes bytes) noexcept;              // copies; the queue may go over its bound by this much
ngx_int_t relay_chain(Fill* fill, ngx_chain_t* in) noexcept;      // a body filter's work; what does not fit stays pending
void end_relay(Ctx* leader, bool whole) noexcept;

// Client's side.
ngx_int_t relay_handler(ngx_http_request_t* r) noexcept;          // content handler
void resume_relay(Ctx* ctx) noexcept;
void start_relay_body(ngx_http_request_t* r, Ctx* ctx) noexcept;  // behind what was streamed from the zone

}  // namespace slab_cache::ngx
