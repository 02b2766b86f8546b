// ngx/fill/rest_of_body.h — the rest of a body that outgrew the cache, for who reads it from the zone and does not lead its fill.
//
// Why         Who joins a growing object of unknown length has its beginning when the zone takes no more. The leader gets the rest by
//             relay; the others' answers would break off.
// How         The client's request asks the origin itself, by a fill that stores nothing. The answer's beginning is compared with what
//             was sent, byte by byte, and left out. What follows goes by relay (relay_queue.h). An answer that begins otherwise, or has
//             another status, coding or ETag, is dropped: the client's breaks off, as that of a truncated response.
// Bounds      fills= of the zone, as other fills. Once for each client.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/clone_fill.h"

namespace slab_cache::ngx {

// REQUIRES that all of the object that there is has been handed to nginx. False: there is no way to have the rest.
bool fetch_rest(Ctx* ctx) noexcept;
// The header of such a fill's answer.
void take_rest(CloneFill* fill) noexcept;
// Takes from the buf what its leader has. False: it is not what it has.
bool skip_known(CloneFill* fill, ngx_buf_t* b) noexcept;

}  // namespace slab_cache::ngx
