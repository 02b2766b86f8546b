// ngx/api/metrics.h — GET …/metrics: all zones in Prometheus' text format.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t send_metrics(Call* call) noexcept;

}  // namespace slab_cache::ngx
