// ngx/fleet/purge_zone.h — a purge of a zone by a selection: what both requests and the fleet's stream end in.
//
// What        In one critical section: the records, the patterns, and where the zone is of a fleet the texts for the others
//             (cache/outbox.h). So a purge that counts here is known to all others sooner or later, whatever dies.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/fleet_record.h"
#include "cache/outbox.h"
#include "cache/purge_batch.h"
#include "cache/purge_log.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {

enum class Tell : uint8_t { kNobody, kFleet };

// What others will hear.
struct Told {
    bool is_fleet = false;   // there are others
    bool is_missed = false;  // the outbox is full: they will be told to doubt everything
    cache::OutboxPlace place;
    uint64_t missed = 0;
};

// Visible to every worker when it returns. The purge counter after it; 0: nothing was purged (Store::purge). Texts are made
// of a selection with `keeps_all`, in its arena. `told` may be nullptr.
uint64_t purge_zone(Zone* zone, cache::Selection* s, const cache::Purger& by, Tell tell, Told* told) noexcept;

// Others are told of what an unsafe request invalidated here: as long as there is room to spare, and no more often than a
// worker may (anybody can bring it about). The purge counter that this raised it to; 0: it did not.
uint64_t tell_invalidation(Zone* zone, ngx_pool_t* pool, const cache::Url* url, uint32_t urls,
                           const cache::Group* group, uint32_t groups) noexcept;

// What waits in the outboxes of the zones before this one, whose workers are leaving, moves to its own.
void move_prior_outboxes(Zone* zone) noexcept;

}  // namespace slab_cache::ngx
