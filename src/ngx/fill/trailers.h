// ngx/fill/trailers.h — the trailer section of an origin's answer, on its way to the client whose request the fill answers.
//
// What        Trailers are known when the body has ended. They go to the leader, whose last bytes are not sent yet; they are not stored
//             (RFC 9110 §6.5.1: whoever forwards may drop them), so hits have none, as with nginx's own caches.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/clone_fill.h"

namespace slab_cache::ngx {

// At the last buf of the fill's body, before the leader hears of it.
void hand_on_trailers(CloneFill* fill) noexcept;

}  // namespace slab_cache::ngx
