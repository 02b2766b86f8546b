// ngx/api/tier_call.h — GET …/v1/tier: the tiers, and what came of asking them.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t send_tier(Call* call) noexcept;

}  // namespace slab_cache::ngx
