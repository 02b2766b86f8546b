// ngx/direct.h — a cold key filled out of the client's own request, where that takes nothing from anybody.
//
// What        A fill is a request of its own (fill.h), so that no client can shape, slow or abort it. An answer that lies
//             whole in the upstream's buffer when its header is judged needs no such care: it is stored, published and
//             its waiters woken before the first byte goes to the client. So where a location's answers are like that, the
//             client's request goes to the origin itself, as without a cache, and one request structure is saved.
// When        The location's last answers, seen by this worker, were whole (Habit, conf.h); the request is a plain GET
//             with nothing in it that a clone would leave out; it owns the key's lease; there is nothing stale. All else
//             is filled by clone.
// Abort       A client that hangs up does not end it: nginx's watch over the connection is taken off.
// Mistaken    An answer that is not whole after all passes to its client unstored, the lease is given back, and the
//             location has to earn its trust anew, twice as long.
// Death       as in fill.h: the lease is overtaken.
#pragma once

#include "ngx/ngx.h"

#include "ngx/ctx.h"

namespace slab_cache::ngx {

bool may_fill_directly(const Ctx* ctx, const shm::Ticket& lease) noexcept;
// The lease becomes the fill's. False when memory ran out; the lease is the caller's then.
bool begin_direct(Ctx* ctx, const shm::Ticket& lease) noexcept;
// Runs the rest of the request's phases. The request may be gone when this returns.
ngx_int_t run_directly(ngx_http_request_t* r, Ctx* ctx) noexcept;
// The header filter's work, once: judges, stores, and makes headers_out what a later hit will be. NGX_OK, or what the
// header filter returns. REQUIRES is_asking(ctx).
ngx_int_t direct_header(ngx_http_request_t* r, Ctx* ctx) noexcept;
// The body filter's: from now on the client's pace is not the origin's failure. REQUIRES ctx->direct.
void spare_slow_client(ngx_http_request_t* r, Ctx* ctx) noexcept;
bool is_asking(const Ctx* ctx) noexcept;   // directly, and no answer yet
void leave_direct(Ctx* ctx) noexcept;      // the request ends; idempotent

// A clone's answer, before its body is touched: was it one that could have been stored directly?
void note_habit(const Fill* fill) noexcept;

}  // namespace slab_cache::ngx
