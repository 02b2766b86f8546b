// ngx/fleet/apply_entries.h — entries of the stream become purges of a zone.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/fleet_wire.h"
#include "ngx/fleet/member.h"

namespace slab_cache::ngx {

// Purges what the entries of an XREAD or XRANGE reply ([[id, [field, value, …]], …]) name, in as few purges as can be. All of
// them count when it returns; *last is the last entry. False: some entry has no id, or memory ran out: nothing is said of the
// position.
bool apply_entries(FleetMember* m, const cache::Reply& entries, cache::FleetPosition* last) noexcept;

// Never fails: where the purge lock's holder is stopped, it goes without.
void purge_all_surely(Zone* zone, shm::PurgeMode mode) noexcept;

}  // namespace slab_cache::ngx
