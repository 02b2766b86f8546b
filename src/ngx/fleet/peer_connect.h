// ngx/fleet/peer_connect.h — one attempt of a PeerLink: address, TCP, TLS; and what its two files have in common.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fleet/peer_link.h"

namespace slab_cache::ngx {

// Ends in link_is_open() or lose_link(), perhaps before it returns. REQUIRES no connection.
void connect_peer(PeerLink* link) noexcept;

void link_is_open(PeerLink* link) noexcept;                // connected, and TLS is done
void lose_link(PeerLink* link, const char* why) noexcept;  // and try another address later
void leave_link(PeerLink* link) noexcept;                  // this worker was told to quit
void set_link_timer(PeerLink* link, ngx_msec_t ms) noexcept;

// nginx closes idle connections of a worker that quits, or it is told to end at once.
inline bool is_leaving(const ngx_connection_t* c) noexcept { return c->close || ngx_terminate; }

}  // namespace slab_cache::ngx
