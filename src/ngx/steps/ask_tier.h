// ngx/steps/ask_tier.h — within the step wait: a request that is about to fill asks the tier first.
//
// What        It waits as for a fill of its own. A hit is in the zone by then: the request looks again, and so do all who wait for
//             its lease. A miss goes on to the fill, with the tier's lease.
// Threading   one worker's event loop; resumed by the visit (fill/tier_visit.h), and every so often to show that it makes progress.
// Ownership   the visit lies on the request's pool; leave_fills() ends it.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"
#include "ngx/steps/step.h"

namespace slab_cache::ngx {

inline constexpr uint64_t kTierTickMs = 250;

// Once a request, and only who has the key's lease.
bool may_ask_tier(const Ctx* ctx, const shm::Ticket& lease) noexcept;
// True: the answer comes later, and the lease is the visit's until then.
bool begin_asking_tier(Ctx* ctx, const shm::Ticket& lease) noexcept;
bool is_asking_tier(const Ctx* ctx) noexcept;
Next hear_tier(Ctx* ctx) noexcept;

// $slab_cache_tier: HIT, WAIT (another machine's, waited for), or why the tier had nothing (tier/tier_figures.h).
ngx_int_t add_tier_variable(ngx_conf_t* cf) noexcept;

}  // namespace slab_cache::ngx
