// ngx/api/fleet_call.h — GET …/v1/fleet: who is in it, who has read how far, what waits.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t send_fleet(Call* call) noexcept;

}  // namespace slab_cache::ngx
