// ngx/fill/tier_write.h — what a fill stored goes to the tier too, and what it holds there comes to its end.
//
// What        A message of the object as it lies in the zone, with its tags, its identity, and the stream's position that was known before
//             the origin was asked. It lives there for as long as it is of use here. A response that varies lies under its variant's
//             key, and a marker under the URL's.
// Not         what nginx makes for each client anew (redirects, statuses), what no other machine could make of a message, and
//             what is larger than max_object=: in place of that, what was there before is deleted.
// Threading   one worker's event loop. Nothing waits for the tier.
// Ownership   a TierFill lies on the pool of the request that asks the origin.
// Cost        of a fill under slab_cache_tier: its key again as text, and one copy of head and body.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/fetch.h"
#include "ngx/fill/merge_304.h"
#include "ngx/fill/tier_place.h"
#include "ngx/tier/tier_ask.h"

namespace slab_cache::ngx {

struct TierVisit;

struct TierFill {
    TierPlace place;
    cache::StreamId position;
    TierHold hold;
    Bytes spec;             // what the response varies on; empty: nothing
    bool has_unknown_tags;  // in the zone they are hashes: it is not written
};

// Before the origin is asked. `visit`: the one that came to nothing; its hold becomes the fill's. May be nullptr.
void plan_tier_write(Fetch* fetch, const Ctx* ctx, TierVisit* visit) noexcept;
// The response's tags, as text, among what is stored. `old`: the object that a 304 confirms. True when there are any.
bool keep_tags(Fetch* fetch, const http::Fields& response, const shm::Pin& old, Lines* lines) noexcept;
// The object has been published.
void write_to_tier(Fetch* fetch, const shm::Pin& object) noexcept;
// It was not, or will not be. Idempotent.
void leave_tier(Fetch* fetch) noexcept;

}  // namespace slab_cache::ngx
