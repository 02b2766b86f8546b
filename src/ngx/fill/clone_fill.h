// ngx/fill/clone_fill.h — asking the origin, as a request of its own.
//
// What        A fill — of a cold key, of an expired one, in the background — is an internal request on a connection
//             of its own that has no socket; direct_fill.h has the exception. It runs the content handler of the client's
//             location (phases.h), with its headers, variables and addresses, but always as a complete GET. Its
//             response goes to capture.cpp and nowhere else. Sent to another location, it ends. So no client can shape,
//             slow or abort it, and a refresh holds nobody's connection.
// The socket  c->shared tells nginx that the descriptor is not this connection's to watch or close; the events are
//             marked so that nginx neither adds nor removes them (checked on epoll and on level-triggered methods).
// Ownership   a Fill lives on its request's pool and dies with it. Ctx::fill and Fill::leader point at each other;
//             whoever goes first clears the other's pointer.
// Death       of the worker: the lease is overtaken, the unfinished entry reaped (shm/store.h).
#pragma once

#include "ngx/glue/ngx.h"

#include "base/check.h"
#include "http/reason.h"
#include "ngx/conf/conf.h"
#include "ngx/fill/phase_table.h"
#include "ngx/request/ctx.h"
#include "ngx/zone/listing.h"

namespace slab_cache::ngx {

struct PostForGet;

struct Fill {
    ngx_http_request_t* request;
    ngx_connection_t* connection;
    LocConf* conf;
    Zone* zone;
    Listed listed;    // listing.h
    Ctx* leader;      // who waits for it in this worker; nullptr in the background
    FillPhase phase;  // written by set_phase() alone
    bool background;
    bool is_abandoned;       // counted in Zone::abandoned
    bool has_authorization;  // that the key leaves out
    bool marks_nothing;      // its request was not like others: what becomes of it marks nothing
    uint8_t kind;            // MarkKind
    bool stale_servable;
    bool upstream_resized;
    bool buffer_enlarged;
    bool body_ended;  // the last buf has been seen

    Bytes host, uri;               // of the client's URL, for selectors
    Bytes inner_path, inner_args;  // what it is inside, where that differs
    bool inner_differs;
    uint32_t published_ref;  // of what was published last; 0: nothing
    bool is_lease_moved;     // the lease is younger than the question to the origin
    bool is_sliced;          // the origin is asked for a part (slice.h)
    http::ByteRange slice;
    uint64_t identity;  // identity.h
    Bytes key;          // primary
    shm::Digest primary;
    Bytes variant_key;
    shm::Digest digest;  // of what the lease is on
    uint64_t birth;
    shm::Ticket ticket;
    Bytes head;  // as stored, on the request's pool
    shm::Writer writer;
    shm::Pin stale;       // being revalidated
    PostForGet* for_get;  // post_copy.h

    int64_t started_sec;
    uint64_t started_ms;
    uint64_t received;     // body bytes
    int64_t expected;      // Content-Length, or -1
    ngx_chain_t* pending;  // not consumed yet: the leader is slow (kRelaying)
    u_char* read_buffer;   // for bodies that come as files
    bool is_trusted;       // direct_fill.h: the answer is likely to be whole
    bool is_broken;        // ... parts of it went by elsewhere
    bool header_read;
    void (*watch_client)(ngx_http_request_t* r);  // nginx's own, over the connection that asks directly
    ngx_event_t go_on;                            // posted when the leader has room again
    bool* over;                                   // set when the fill ends; nullptr while nobody asks
};

// The only place where Fill::phase changes; as set_step().
inline void set_phase(Fill* fill, FillPhase to,
                      [[maybe_unused]] const char* from_where = __builtin_FUNCTION()) noexcept {
    [[maybe_unused]] ngx_log_t* log = fill->request->connection->log;
#if defined(SLAB_DEBUG)
    if (!is_legal_move(fill->phase, to)) {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "slab_cache: illegal phase %s -> %s of a fill, in %s()",
                      row_of(fill->phase).name, row_of(to).name, from_where);
        SLAB_DCHECK(false);
    }
#endif
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0, "slab_cache: fill: %s -> %s", row_of(fill->phase).name, row_of(to).name);
    fill->phase = to;
}

enum class FillKind : uint8_t { kForeground, kBackground };

// One more request of its own can be had without harm to clients.
bool has_room_for_fill(const Zone* zone) noexcept;

// Starts a fill for ctx's key. The lease in `ticket`, if any, becomes the fill's. True when it was started;
// it may be over already when this returns (ctx->news).
bool start_fill(Ctx* ctx, FillKind kind, const shm::Ticket& ticket) noexcept;

// A Fill without a request of its own, for one in which ctx's request asks the origin itself (direct_fill.h): on its
// pool, with no leader, lease or birth. nullptr when memory ran out.
Fill* new_direct_fill(Ctx* ctx) noexcept;
// The fill that `r` asks the origin for: its internal request, or a client's that fills directly (direct_fill.h).
Fill* asking_fill(ngx_http_request_t* r) noexcept;
// The fill whose internal request `r` is, or nullptr. One comparison for all other requests.
Fill* fill_of(ngx_http_request_t* r) noexcept;

// A fill's request is sent to another location: it ends there, before anybody is asked.
void leave_location(ngx_http_request_t* r) noexcept;
void leader_left(Fill* fill) noexcept;  // the leading client is gone
void tell_leader(Fill* fill, FillNews news) noexcept;
void continue_fill(Fill* fill) noexcept;  // the leader has room again (kRelaying)

// A lease that came to nothing: whoever waits looks again.
void give_back(Zone* zone, const shm::Ticket& lease) noexcept;
// What a lease that ends as published says of its object, in the 16 bits it has for that. Never 0.
inline uint32_t answer_id(uint32_t ref) noexcept { return (ref * 0x9E3779B1U) >> 16 | 1; }
// Ends the lease with `outcome` and wakes who waits on it. kPublished: `detail` is the object's mark, or 0. Idempotent.
void end_lease(Fill* fill, shm::LeaseState outcome, uint32_t detail) noexcept;
// A 304 stands for a 200 (RFC 9110 §15.4.5), or for a part of one that is kept as such. What else is stored is not asked about,
// nor confirmed by one.
inline bool may_be_confirmed(uint16_t stored_status) noexcept {
    return stored_status == NGX_HTTP_OK || stored_status == NGX_HTTP_PARTIAL_CONTENT;
}
// Store::commit() of what the fill has written; kPurged where its URL was not listed all the time (listing.h).
shm::Status publish(Fill* fill) noexcept;
// No usable response: ends the lease as failed and tells the leader (stale, or an error of this status).
void fail_fill(Fill* fill, ngx_uint_t status) noexcept;
void copy_upstream_states(Fill* fill, Ctx* leader) noexcept;
// Ends a fill early: the internal request is torn down from a posted event.
void drop_fill(Fill* fill) noexcept;

}  // namespace slab_cache::ngx
