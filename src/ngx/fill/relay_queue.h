// ngx/fill/relay_queue.h — a response that is not stored, handed from its fill to the client that caused it.
//
// What        The header is copied to the client's request; the body goes through a bounded queue of buffers on the client's
//             pool. When the client is slow the queue fills, the fill stops reading its upstream, and goes on when there is room:
//             nobody's memory grows.
// Ownership   Ctx::relay lives on the client's pool. The fill may end first; the queue then empties by itself.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/clone_fill.h"
#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

inline constexpr size_t kRelayQueueBytes = 128 * 1024;
extern const ngx_buf_tag_t kRelayTag;

struct Relay {
    ngx_chain_t* queue;  // filled, not yet given to nginx
    ngx_chain_t** queue_end;
    ngx_chain_t* free;
    ngx_chain_t* busy;
    size_t queued;  // bytes in queue and busy
    size_t bound;   // of these: more than the queue's own where a filter holds on to what it gets
    bool ended;     // the fill is over
    bool whole;     // ... and the response complete
    bool header_sent;
    uint64_t to_skip;  // bytes that the client has already (rest_of_body.h)
    uint64_t skipped;
    uint64_t cursor;  // ... in the object that it has them of
    bool flush;       // the origin paused: do not hold back what there is
};

bool start_relay(Ctx* leader, CloneFill* fill) noexcept;
void relay_bytes(Ctx* leader, Bytes bytes) noexcept;  // copies; the queue may go over its bound by this much
ngx_int_t relay_chain(CloneFill* fill,
                      ngx_chain_t* in) noexcept;  // a body filter's work; what does not fit stays pending
void end_relay(Ctx* leader, bool whole) noexcept;

inline size_t chain_bytes(ngx_chain_t* cl) noexcept {
    size_t n = 0;
    for (; cl != nullptr; cl = cl->next) {
        n += static_cast<size_t>(cl->buf->last - cl->buf->pos);
    }
    return n;
}

}  // namespace slab_cache::ngx
