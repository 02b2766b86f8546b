// ngx/fleet/write_stream.h — the holder's connection that publishes what this zone's workers purged.
//
// What        XADD of each record of the outbox, in order, many under way at once. A record counts as sent when its id has come
//             back; what was under way when the connection was lost is sent again, and others purge it twice.
// Lost        a server that was failed over may have lost what it had taken. Behind each new connection the last records are
//             looked for by their ids; those that are gone are added again, and if the oldest of them is, others are told
//             to doubt everything.
// Full        purges that did not fit into the outbox are told as one entry: doubt everything.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fleet/member.h"

namespace slab_cache::ngx {

void start_writer(FleetMember* m) noexcept;
void stop_writer(FleetMember* m) noexcept;
// The reader has found the master at that address: a connection to another one is given up.
void part_from_another(FleetMember* m, const ngx_str_t& address) noexcept;
// Sends what waits, as much as may be under way. REQUIRES the holder.
void publish_waiting(FleetMember* m) noexcept;
// The last word, when this worker leaves: not waited for.
void say_left(FleetMember* m) noexcept;

}  // namespace slab_cache::ngx
