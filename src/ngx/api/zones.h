// ngx/api/zones.h — sizes, fill level and counters of zones as JSON.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t send_zones(Call* call) noexcept;  // all
ngx_int_t send_zone(Call* call) noexcept;

}  // namespace slab_cache::ngx
