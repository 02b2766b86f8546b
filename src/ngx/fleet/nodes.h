// ngx/fleet/nodes.h — what each node says of itself: a hash on the server, a field per node and zone.
//
// What        "<position> <clear> <zone> <said>": up to where its zone has read the stream; the server's millisecond up to which
//             all it had purged is in the stream (1: that is not known); the zone's own id; the server's millisecond of the line.
//             A node that stops in order says "left". One that is cut off cannot say so: its `clear` stays behind, and the others doubt what they have, once per blind=, for it may have purged.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fleet/member.h"

namespace slab_cache::ngx {

// HSET of ours. False: it could not be sent.
bool send_own_node(FleetMember* m, RedisLink* link, bool leaves) noexcept;
// TIME, HGETALL; the table in the zone is what they say when both have come.
bool ask_nodes(FleetMember* m, RedisLink* link) noexcept;
// The reply of TIME.
void note_server_clock(FleetMember* m, const cache::Reply& reply) noexcept;
// While somebody waits for the nodes (FleetArea::watched_until_ms), they are asked every few milliseconds.
void watch_nodes(FleetMember* m) noexcept;

// All nodes that are known have read up to there, as they said when they were asked at `since_ms` or later, and the server they
// read from has what it took from here: behind a failover a later position does not say that an entry was read.
bool is_applied_everywhere(const cache::FleetArea& area, const cache::StreamId& id, uint64_t since_ms) noexcept;
// applied: it has read up to `id`; else behind, or silent.
Bytes node_word(const cache::FleetNode& node, const cache::StreamId& id) noexcept;

}  // namespace slab_cache::ngx
