// ngx/purge/purge_directive.h — slab_cache_purge.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

char* set_purge(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;

}  // namespace slab_cache::ngx
