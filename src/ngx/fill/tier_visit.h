// ngx/fill/tier_visit.h — before the origin is asked: does the tier have it?
//
// What        The value of the URL's key. Is it a marker, then those of the variants that it names for this request. What will do is stored in
//             the zone (tier_read.h); the request, or the fill, that waited finds it there. Else the lease for all machines comes
//             with the miss, and is its owner's.
// Who         the owner of the key's lease in the zone: a client's request before it fills, a background fill before it runs.
// Ownership   lies on the pool of whoever asks, who calls leave_visit() when it goes.
// Threading   one worker's event loop. `ended` comes from an event.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/tier_value.h"
#include "ngx/fill/tier_place.h"
#include "ngx/tier/tier_ask.h"

namespace slab_cache::ngx {

struct TierVisit {
    TierPlace place;
    int64_t fresher_than;  // tier_read.h
    void (*ended)(TierVisit* visit) noexcept;
    void* owner;

    // ---- its own ----
    TierAsk* ask;  // under way
    Bytes spec[cache::kMaxTierSpecs];
    uint32_t specs;  // of the marker that was found
    uint32_t asked;  // so many of them were asked for
    bool is_over;
    bool is_hit;
    bool has_waited;
    bool has_marker;  // the value that was taken is one
    TierMiss miss;
    TierHold hold;
    shm::Ticket lease;  // of a request that asks, in the zone: given back with the rest
};

// False: it is over at once, as a miss.
bool start_visit(TierVisit* visit) noexcept;
// Nobody waits any more. What it holds in the tier is given back. Idempotent.
void leave_visit(TierVisit* visit) noexcept;

}  // namespace slab_cache::ngx
