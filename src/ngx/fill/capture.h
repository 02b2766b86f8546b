// ngx/fill/capture.h — what becomes of the response to a fill.
//
// What        The module's filters come first in nginx's chains, so here the response is what the content handler made:
//             no ranges, no gzip, no add_header. For a fill's request the chain ends here. The header decides: stored (the body
//             goes to the zone, and the leader and all who wait read it from there), relayed to the leader, a validation of what
//             we have, or a failure.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/fill.h"
#include "ngx/fill/origin_response.h"

namespace slab_cache::ngx {

// The origin was asked: its first byte shall meet a buffer that takes the header and an ordinary body in one read. The
// header may be as long as the location's own buffer (proxy_buffer_size, …) all the same, no longer.
void expect_response(Fill* fill) noexcept;
// Upstream shall be read as fast as it sends: nginx's unbuffered path does, into one buffer, and for more than a few
// kilobytes that buffer should not be the small one the header came in. A proxy_cache or proxy_store below us needs
// the buffered path; it is not slowed by anybody either, since we consume what it hands on at once. Nor can the buffered
// path take a first buffer that is larger than what it may have under way.
void unbuffer(Fill* fill) noexcept;
// The header took more than the location's own buffer would have had.
bool is_header_too_big(const Fill* fill) noexcept;
// Not for the cache: counts it, marks the key, ends the lease.
void note_refusal(Fill* fill, http::Reason reason) noexcept;
http::Reason reason_of(shm::Status status) noexcept;

ngx_int_t capture_header(Fill* fill) noexcept;
// Instead of a header: the fill's request was sent to another location.
void capture_redirect(Fill* fill) noexcept;
// Stores an answer that has no body of its own. kNone, or why not. `pin`: the object, where it is wanted.
http::Reason store_bodyless(Fill* fill, const OriginResponse& origin, shm::Pin* pin) noexcept;
ngx_int_t capture_body(Fill* fill, ngx_chain_t* in) noexcept;
// kStoring: the response has ended. Publishes when it is whole, else it was truncated.
void finish_capture(Fill* fill) noexcept;

}  // namespace slab_cache::ngx
