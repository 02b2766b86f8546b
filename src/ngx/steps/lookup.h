// ngx/steps/lookup.h — from a request to an object, a wait, a fill, or nginx's ordinary way.
//
// What        The steps `lookup` and `wait`, and how a request gets into them. step.cpp runs them: each sets ctx->step, and says
//             how to go on.
// Threading   one worker's event loop. Never blocks. The wait ends by an event (zone/waiter.h), which calls resume().
// Ownership   an object found is in ctx->pin, a stale one in ctx->stale; the Ctx's cleanup releases both.
// Errors      Next::kError: ctx->error_status, or 502.
// Cost        a hit: http::reuse() and what find_object() costs. No lock, no system call, no allocation.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"
#include "ngx/request/identity.h"
#include "ngx/steps/step.h"

namespace slab_cache::ngx {

// What leases and counts of uses are kept under: answers of several identities are not each other's.
inline shm::Digest lease_digest(const Ctx* ctx) noexcept { return with_identity(ctx->digest, ctx->identity); }

Next lookup(Ctx* ctx) noexcept;
Next wait(Ctx* ctx) noexcept;  // something may have come that this request waits for
// Parks the request until something comes that it waits for, its deadline at the latest.
Next park(Ctx* ctx) noexcept;
Next park_until(Ctx* ctx, uint64_t ms) noexcept;  // ... or that moment, by now_ms()
// The request leads a fill; `lease` becomes the fill's. Empty: without one.
Next fill_as_leader(Ctx* ctx, const shm::Ticket& lease) noexcept;

}  // namespace slab_cache::ngx
