// ngx/zone/waiter.h — requests of this worker that wait for a fill.
//
// What        a Waiter is embedded in a request's context. It is listed under the lease cell it waits for, so that a
//             poke of that cell finds it; its one event serves as posted wake-up and as timer (safety net, timeout).
// Ownership   cancel_wait() from the context's pool cleanup; idempotent.
#pragma once

#include "ngx/glue/ngx.h"

#include "shm/store.h"

namespace slab_cache::ngx {

struct Zone;

struct Waiter {
    ngx_event_t event;
    ngx_queue_t link;
    bool linked;
    Zone* zone;
    uint32_t cell;
    void (*resume)(void* data);  // called from the event loop, never from inside another request's call stack
    void* data;
};

// A waiter looks by itself at least this often, should a poke get lost.
inline constexpr ngx_msec_t kSafetyNetMs = 250;

void init_waiter(Waiter* waiter, Zone* zone, ngx_log_t* log, void (*resume)(void*), void* data) noexcept;
// Lists the waiter under the ticket's cell (none: only directly posted) and arms its timer.
void wait_for(Waiter* waiter, const shm::Ticket& ticket, ngx_msec_t timeout_ms) noexcept;
void post_waiter(Waiter* waiter) noexcept;  // wakes this one at the end of the current event
void cancel_wait(Waiter* waiter) noexcept;
inline constexpr uint32_t kAllCells = UINT32_MAX;
inline constexpr uint32_t kFleetCell = UINT32_MAX - 1;  // no lease's: something to be sent to the fleet, or news of it
bool has_waiters(const Zone* zone, uint32_t cell) noexcept;  // in this worker
void post_waiters(Zone* zone, uint32_t cell) noexcept;       // all of this worker listed under the cell, or under any

}  // namespace slab_cache::ngx
