// ngx/request/variables.h — $slab_cache_* for logs, headers and conditions.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

ngx_int_t add_variables(ngx_conf_t* cf) noexcept;
// Once per configuration, when all variables have their handlers (init_module): $upstream_http_… and $upstream_cookie_… also show the stored header.
void look_behind_upstream_variables(ngx_cycle_t* cycle) noexcept;

}  // namespace slab_cache::ngx
