// ngx/api/purges.h — the last purges of a zone as JSON.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t send_purges(Call* call) noexcept;

}  // namespace slab_cache::ngx
