// ngx/answer/relay.h — the client's side of a response that is not stored (relay_queue.h).
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

ngx_int_t relay_handler(ngx_http_request_t* r) noexcept;  // content handler
void resume_relay(Ctx* ctx) noexcept;
// Behind what was streamed from the zone; `front`, bufs in memory, goes first.
void start_relay_body(ngx_http_request_t* r, Ctx* ctx, ngx_chain_t* front) noexcept;

}  // namespace slab_cache::ngx
