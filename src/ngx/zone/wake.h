// ngx/zone/wake.h — waking a waiter in another worker.
//
// What        each worker binds one datagram socket per zone in the abstract namespace, named by the zone's random
//             id, its record number and its pid. Poking is one sendto() of the lease cell's number.
// Why         unlike descriptors opened by the master, names work across reloads and respawns, in both directions, with
//             nobody handing anything over. A lost or forged datagram does no harm: a waiter looks at the
//             lease itself, and has a timer as the safety net.
// Threading   one worker's event loop each; what is shared is the name.
// Errors      no socket: waiters of this worker look by their timers alone.
// Cost        a poke is one system call, by who changes a lease that others watch. Never on a hit.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Zone;

bool open_wake_socket(Zone* zone, ngx_log_t* log) noexcept;
void close_wake_socket(Zone* zone) noexcept;
void poke_worker(Zone* zone, uint32_t index, uint32_t cell) noexcept;

}  // namespace slab_cache::ngx
