// ngx/fleet/peer_link.h — one client's connection to one of several servers, kept up: nothing of any protocol.
//
// What        Over nginx's own connections, timers, resolver and TLS. A link that was started connects, and connects anew
//             when it was lost: to the next address, after a pause that doubles (with jitter) until an attempt was called good.
// Ownership   a PeerLink is part of its owner, who outlives it or calls stop_link(). It lies still: events point to it.
// Threading   one worker's event loop. All calls come from there, never from within a call of ours but those noted.
// Exit        the connection is marked idle: a worker that was told to quit closes it. Its timers are cancelable, so it
//             keeps no worker from exiting. stop_link() in exit_process takes what is left.
// Bounds      what waits to be written is bounded by `max_out`; what is read is handed on at once.
// Errors      lost() says why; the first loss after a good connection is logged, the following attempts are not.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fleet/peers.h"

namespace slab_cache::ngx {

struct PeerLink;

// Called by the link. Each may call drop_link() and stop_link().
struct PeerCalls {
    // Connected (and TLS is done): may write. Not good yet: call link_is_good() once the server has proved to be of use.
    void (*connected)(PeerLink* link) noexcept;
    // False: nonsense came, `why` says what; the connection is dropped.
    bool (*bytes)(PeerLink* link, Bytes bytes, const char** why) noexcept;
    // There is no connection any more (or there was none). The link goes on by itself, unless it `is_stopped`.
    void (*lost)(PeerLink* link, const char* why) noexcept;
    // The worker quits, and the connection is about to be closed: last words may be written. nullptr: there are none.
    void (*leaving)(PeerLink* link) noexcept;
};

enum class LinkState : uint8_t { kStopped, kPausing, kResolving, kConnecting, kHandshaking, kConnected };

inline constexpr ngx_uint_t kMaxAddresses = 16;

struct PeerLink {
    // Set by the owner before start_link(); immutable then.
    Peers* peers;
    const PeerCalls* calls;
    void* owner;
    size_t max_out;

    // ---- the link's own ----
    LinkState state;
    bool is_good;
    bool was_told;            // the log says already that it is lost
    uint32_t life;            // of this connection: one more when it is gone
    uint32_t failures;        // in a row
    ngx_uint_t next_peer;     // of peers->list
    ngx_uint_t next_address;  // of a peer's several
    const Peer* peer;         // the one at hand
    bool is_redirected;       // `redirect` instead, once
    bool hurry;               // the next attempt without a pause
    ngx_sockaddr_t redirect;
    socklen_t redirect_bytes;
    ngx_sockaddr_t address;  // of this attempt
    socklen_t address_bytes;
    ngx_str_t address_text;
    u_char address_buffer[NGX_SOCKADDR_STRLEN];
    ngx_connection_t* connection;
    ngx_resolver_ctx_t* resolving;
    ngx_event_t timer;  // pause, connect timeout, silence
    ngx_event_t flush;  // posted: what was written in this turn goes out in one
    u_char* out;
    size_t out_from, out_to, out_size;
    bool is_expecting;
    ngx_msec_t heard;
    ngx_log_t log;  // quiet while it fails again and again
};

// Connects in this turn of the event loop or later. REQUIRES zeroed but for what the owner sets.
void start_link(PeerLink* link, ngx_log_t* log) noexcept;
// No connection, no call any more. Idempotent; may be started again.
void stop_link(PeerLink* link) noexcept;
// Closes the connection, and goes on with another. lost() is called before it returns.
void drop_link(PeerLink* link, const char* why) noexcept;
// The next attempt goes to that address (no name), and at once. For what one server says of another. False: no address.
bool redirect_link(PeerLink* link, Bytes address) noexcept;
// The server is of use: pauses begin anew, and the log is told.
void link_is_good(PeerLink* link) noexcept;

inline bool is_connected(const PeerLink& link) noexcept { return link.state == LinkState::kConnected; }
inline bool is_stopped(const PeerLink& link) noexcept { return link.state == LinkState::kStopped; }

// Room for `bytes` behind what waits to be written; nullptr: not connected, too much waits already, or out of memory.
u_char* link_room(PeerLink* link, size_t bytes) noexcept;
// What was written into the room, up to `end`. Goes out at the end of this turn of the event loop.
void link_wrote(PeerLink* link, u_char* end) noexcept;
void flush_link(PeerLink* link) noexcept;  // or now, as far as the socket takes it
inline size_t link_unsent(const PeerLink& link) noexcept { return link.out_to - link.out_from; }
// A reply is awaited (or none any more): silence for peers->silence drops the link.
void link_expects(PeerLink* link, bool expects) noexcept;

}  // namespace slab_cache::ngx
