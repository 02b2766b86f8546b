// ngx/fill/clone_fill.h — asking the origin, as a request of its own.
//
// What        A fill — of a cold key, of an expired one, in the background — is an internal request on a connection
//             of its own that has no socket; direct_fill.h has the exception. It runs the content handler of the client's
//             location (phases.h), with its headers, variables and addresses, but always as a complete GET. Its
//             response goes to capture.cpp and nowhere else. Sent to another location, it ends. So no client can shape,
//             slow or abort it, and a refresh holds nobody's connection.
// The socket  c->shared tells nginx that the descriptor is not this connection's to watch or close; the events are
//             marked so that nginx neither adds nor removes them (checked on epoll and on level-triggered methods).
// Ownership   a CloneFill lives on its request's pool and dies with it. Ctx::fill and its leader point at each other;
//             whoever goes first clears the other's pointer.
// Death       of the worker: the lease is overtaken, the unfinished entry reaped (shm/store.h).
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/fetch.h"

namespace slab_cache::ngx {

struct PostCopy;
struct TierVisit;

struct CloneFill : Fill {
    ClonePhase phase;   // written by set_phase() alone
    bool is_abandoned;  // counted in Zone::abandoned
    bool stale_servable;
    bool body_ended;       // the last buf has been seen
    bool is_rest;          // for the rest of a body alone (rest_of_body.h)
    shm::Pin stale;        // being revalidated
    PostCopy* for_get;     // post_copy.h; nullptr: none is planned
    TierVisit* visit;      // of a background fill, before it runs; nullptr: none
    ngx_chain_t* pending;  // not consumed yet: the leader is slow (kRelaying)
    ngx_event_t go_on;     // posted when the leader has room again
};

enum class FillKind : uint8_t { kForeground, kBackground, kRest };

// One more request of its own can be had without harm to clients.
bool has_room_for_fill(const Zone* zone) noexcept;

// Starts a fill for ctx's key. The lease in `ticket`, if any, becomes the fill's. True when it was started;
// it may be over already when this returns (ctx->from_fill.news).
bool start_fill(Ctx* ctx, FillKind kind, const shm::Ticket& ticket) noexcept;

// The fill whose internal request `r` is, or nullptr. One comparison for all other requests.
CloneFill* fill_of(ngx_http_request_t* r) noexcept;

// A fill's request is sent to another location: it ends there, before anybody is asked.
void leave_location(ngx_http_request_t* r) noexcept;
void leader_left(CloneFill* fill) noexcept;  // the leading client is gone
// To the leader, where there is one still.
void tell_leader(CloneFill* fill, FillNews news) noexcept;
void give_leader(CloneFill* fill, shm::Pin* pin, FillNews news) noexcept;  // *pin becomes the leader's, or is let go
void tell_reason(CloneFill* fill, http::Reason reason) noexcept;
void wake_leader(CloneFill* fill) noexcept;

void continue_fill(CloneFill* fill) noexcept;  // the leader has room again (kRelaying)

// A 304 stands for a 200 (RFC 9110 §15.4.5), or for a part of one that is kept as such. What else is stored is not asked about,
// nor confirmed by one.
inline bool may_be_confirmed(uint16_t stored_status) noexcept {
    return stored_status == NGX_HTTP_OK || stored_status == NGX_HTTP_PARTIAL_CONTENT;
}
// No usable response: counts it, ends the lease as failed, and tells the leader (stale, or an error of this status).
void fail_fill(CloneFill* fill, ngx_uint_t status) noexcept;
void copy_upstream_states(CloneFill* fill, Ctx* leader) noexcept;
// Ends a fill early: the internal request is torn down from a posted event.
void drop_fill(CloneFill* fill) noexcept;

}  // namespace slab_cache::ngx
