// ngx/api/history.h — an hour of a zone's counters as JSON.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t send_history(Call* call) noexcept;

}  // namespace slab_cache::ngx
