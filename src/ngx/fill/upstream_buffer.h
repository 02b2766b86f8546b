// ngx/fill/upstream_buffer.h — the buffer into which nginx reads an origin's answer to a fill.
//
// What        ngx_http_upstream_t::buffer, and the way nginx takes from there: buffered (the event pipe) or not.
// Ownership   buffers lie on the pool of the request that asks.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/clone_fill.h"
#include "ngx/fill/direct_fill.h"

namespace slab_cache::ngx {

// The origin's first byte shall meet a buffer that takes the header and an ordinary body in one read. The header may be as long
// as the location's own buffer (proxy_buffer_size, …) all the same, no longer. Nothing was read yet; asked once the origin was.
bool may_enlarge_buffer(const ngx_http_upstream_t& u) noexcept;
// The first byte is there.
void prepare_buffer(Fill* fill) noexcept;
// Upstream shall be read as fast as it sends: nginx's unbuffered path does, into one buffer, and for more than a few
// kilobytes that buffer should not be the small one the header came in. A proxy_cache or proxy_store below us needs
// the buffered path; it is not slowed by anybody either, since we consume what it hands on at once. Of a clone alone: where a
// client's filters follow, the unbuffered path sends them a flush before the body, and loses the origin's rate.
void unbuffer(CloneFill* fill) noexcept;
// A direct fill whose answer is not whole goes on by nginx's buffered path: with the location's own size of a buffer, or one
// that ends where the data do. False when memory ran out.
bool restore_buffer(DirectFill* fill) noexcept;
// The header took more than the location's own buffer would have had.
bool is_header_too_big(const Fill* fill) noexcept;

}  // namespace slab_cache::ngx
