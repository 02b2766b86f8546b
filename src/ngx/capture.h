// ngx/capture.h — what becomes of the response to a fill.
//
// What        The module's filters come first in nginx's chains, so here the response is what the content handler made:
//             no ranges, no gzip, no add_header. For a fill's request the chain ends here. The header decides: stored (the body
//             goes to the zone, and the leader and all who wait read it from there), relayed to the leader, a validation of what
//             we have, or a failure.
#pragma once

#include "ngx/ngx.h"

#include "ngx/fill.h"

namespace slab_cache::ngx {

// The origin was asked: its first byte shall meet a buffer that takes the header and an ordinary body in one read. The
// header may be as long as the location's own buffer (proxy_buffer_size, …) all the same, no longer.
void expect_response(Fill* fill) noexcept;
ngx_int_t capture_header(Fill* fill) noexcept;
ngx_int_t capture_body(Fill* fill, ngx_chain_t* in) noexcept;
// kStoring: the response has ended. Publishes when it is whole, else it was truncated.
void finish_capture(Fill* fill) noexcept;

}  // namespace slab_cache::ngx
