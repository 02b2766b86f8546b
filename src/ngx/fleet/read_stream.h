// ngx/fleet/read_stream.h — the holder's connection that waits for entries of the stream.
//
// What        In one pipeline: HSET of where this node stands, XREAD behind the position, XRANGE of the position itself. XREAD
//             says nothing of entries that were trimmed or lost; but if the entry at the position is still there, and still
//             the same, after the reading, nothing between was lost. If not, there is a gap: everything stored is in doubt (or
//             purged, on_gap=hard), and reading goes on from the stream's end.
// Order       purges first, then the position: a holder that dies in between has them done again by the next one.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fleet/member.h"

namespace slab_cache::ngx {

void start_reader(FleetMember* m) noexcept;
void stop_reader(FleetMember* m) noexcept;

}  // namespace slab_cache::ngx
