// ngx/api/api_directive.h — slab_cache_api.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

char* set_api(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;

}  // namespace slab_cache::ngx
