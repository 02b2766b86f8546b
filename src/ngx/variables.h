// ngx/variables.h — $slab_cache_* for logs, headers and conditions.
#pragma once

#include "ngx/ngx.h"

namespace slab_cache::ngx {

ngx_int_t add_variables(ngx_conf_t* cf) noexcept;

}  // namespace slab_cache::ngx
