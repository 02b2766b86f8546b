// ngx/fill/capture.h — what becomes of the response to a fill.
//
// What        The module's filters come first in nginx's chains, so here the response is what the content handler made:
//             no ranges, no gzip, no add_header. For a fill's request the chain ends here. The header decides: stored (the body
//             goes to the zone, and the leader and all who wait read it from there), relayed to the leader, a validation of what
//             we have, or a failure.
// Threading   one worker's event loop; called by the module's filters (module/module.cpp), on_fill_end() and the upstream's events.
// Ownership   the object that grows is fill->writer's; the leader gets a pin of its own.
// Errors      none leads to the client: the lease and the leader are told (end_lease, tell_leader), and the fill ends.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/clone_fill.h"
#include "ngx/fill/origin_response.h"

namespace slab_cache::ngx {

// Not for the cache: counts it, marks the key, ends the lease.
void note_refusal(Fill* fill, http::Reason reason) noexcept;
http::Reason reason_of(shm::Status status) noexcept;

ngx_int_t capture_header(CloneFill* fill) noexcept;
// Instead of a header: the fill's request was sent to another location.
void capture_redirect(CloneFill* fill) noexcept;
// Stores an answer that has no body of its own. kNone, or why not. `pin`: the object, where it is wanted.
http::Reason store_bodyless(Fill* fill, const OriginResponse& origin, shm::Pin* pin) noexcept;
ngx_int_t capture_body(CloneFill* fill, ngx_chain_t* in) noexcept;
// kStoring: the response has ended. Publishes when it is whole, else it was truncated.
void finish_capture(CloneFill* fill) noexcept;

}  // namespace slab_cache::ngx
