// ngx/fill/tier_read.h — a value that a tier had becomes an object of the zone, or is a miss.
//
// Judged      by what an origin's answer is judged by: the rules of storing, the bounds of the zone, Vary. Its key and its identity are
//             compared. It must be fresh.
// Purges      its Slab-Position comes to a birth here (cache/fleet_area.h), and the purge rule says whether something came since. One
//             that is ahead of this machine counts as one that this machine has reached. Without a position, or with one that is not
//             known any more, it is older than every purge there was.
// Threading   one worker's event loop.
// Errors      each is a miss with a reason. Values are input.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/tier_value.h"
#include "ngx/fill/tier_place.h"

namespace slab_cache::ngx {

// Stores it. False: *miss says why not. `spec`: what a marker said that this key's responses vary on; empty: there was none.
// `fresher_than`: fresh until then does not do (now_sec()); 0: any.
bool store_tier_value(const TierPlace& place, const cache::TierValue& value, Bytes spec, int64_t fresher_than,
                      TierMiss* miss) noexcept;

}  // namespace slab_cache::ngx
