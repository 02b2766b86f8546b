// ngx/steps/step.h — the steps of a request that lookup.cpp drives: what they return, and those that live elsewhere.
//
// A step never blocks and never calls nginx's phases (but for a direct fill, at its end); it sets ctx->step and says how to go on.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"
#include "ngx/request/identity.h"

namespace slab_cache::ngx {

enum class Next : uint8_t {
    kMore,      // run ctx->step
    kWait,      // parked: an event resumes
    kReading,   // nginx reads the request's body, then runs the phases again
    kDecline,   // nginx's ordinary way
    kServe,     // our content handler answers
    kDirect,    // the rest of the phases run, to fill with their answer
    kError,     // ctx->error_status, or 502
};

// start.cpp: zone, URL, key; then lookup, or what bypasses it.
Next start(Ctx* ctx) noexcept;
Next begin_lookup(Ctx* ctx) noexcept;   // a QUERY's body has been read

// What leases and counts of uses are kept under: answers of several identities are not each other's.
inline shm::Digest lease_digest(const Ctx* ctx) noexcept { return with_identity(ctx->digest, ctx->identity); }

// lookup.cpp
Next lookup(Ctx* ctx) noexcept;
Next wait(Ctx* ctx) noexcept;           // something may have come that this request waits for
Next park(Ctx* ctx) noexcept;
Next fill_as_leader(Ctx* ctx, const shm::Ticket& lease) noexcept;
void resume(void* ctx) noexcept;        // Waiter::resume of every request

}  // namespace slab_cache::ngx
