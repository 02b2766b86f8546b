// ngx/fill/direct_fill.h — a fill out of the client's own request.
//
// What        A fill is a request of its own (clone_fill.h), so that no client can shape, slow or abort it. Two kinds of answers
//             are stored out of the client's request itself.
// Whole       An answer that lies whole in the upstream's buffer when its header is judged is stored, published and its
//             waiters woken before the first byte goes to the client. Where a location's answers are like that (AnswerHistory,
//             conf.h), a plain GET with nothing in it that a clone would leave out goes to the origin itself, under the
//             key's lease, and one request structure is saved. A client that hangs up does not end it.
// In passing  Where a clone could not stand in for the client (a content handler of Lua, njs, perl, echo; contexts of other
//             modules), and where nobody should wait (a mark, slab_no_cache), the request runs as without a cache. Its
//             answer is copied into the zone as it goes by, and published when it has ended. So is an answer that was
//             expected to be whole and is not. A client that hangs up ends it, as it does without a cache.
// Parts       An answer that is made of subrequests' output does not pass here in one piece: it is not stored.
// Death       as in clone_fill.h: the lease is overtaken.
// Threading   one worker's event loop.
// Ownership   the DirectFill lies on the client's pool, as Ctx::direct. leave_fills() ends it, whatever way the request ends.
// Errors      what cannot be stored goes on as without a cache, with a reason.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/fetch.h"

namespace slab_cache::ngx {

struct CloneFill;

struct DirectFill : Fill {                        // `leader` is the request that asks
    DirectPhase phase;                            // written by set_phase() alone
    bool is_trusted;                              // the answer is likely to be whole
    bool is_broken;                               // parts of it went by elsewhere
    void (*watch_client)(ngx_http_request_t* r);  // nginx's own, over the connection that asks
};

enum class Trust : uint8_t { kNone, kWhole };

// The answer is likely to be whole.
bool may_fill_whole(const Ctx* ctx, const shm::Ticket& lease) noexcept;
// Nothing of the answer to come is this client's alone, as far as its request goes.
bool is_answer_its_own(const Ctx* ctx) noexcept;
// The answer, should it be storable, may be stored in passing.
bool may_copy_in_passing(const Ctx* ctx) noexcept;
// The lease, if any, becomes the fill's. False when memory ran out; the lease is the caller's then.
bool begin_direct_fill(Ctx* ctx, const shm::Ticket& lease, Trust trust) noexcept;
// Runs the rest of the request's phases. The request may be gone when this returns.
ngx_int_t run_direct_fill(ngx_http_request_t* r, Ctx* ctx) noexcept;
// The header filter's work, once: judges, stores, and makes headers_out what a later hit will be. NGX_OK, or what the
// header filter returns. REQUIRES is_asking(ctx).
ngx_int_t direct_header(ngx_http_request_t* r, Ctx* ctx) noexcept;
// A subrequest of `r->main` sends something.
void note_subrequest(ngx_http_request_t* r) noexcept;
bool is_asking(const Ctx* ctx) noexcept;  // directly, and no answer yet
// The request is sent to another location before its answer came: it ends there as a fill.
void leave_direct_location(ngx_http_request_t* r) noexcept;
void leave_fills(Ctx* ctx) noexcept;  // Ctx::leave_fills, of all kinds, and the tier: the request ends; idempotent

// The upstream hooks' part (upstream_hooks.h): the header is read. NGX_AGAIN: a short body is waited for, nginx goes on when it is
// all there.
bool waits_for_whole(ngx_http_request_t* r) noexcept;
ngx_int_t await_whole(ngx_http_request_t* r) noexcept;

// A clone's answer, before its body is touched: was it one that could have been stored directly?
void note_history(const CloneFill* fill) noexcept;

}  // namespace slab_cache::ngx
