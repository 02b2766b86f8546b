// ngx/module/directive_table.h — the directives of README, as nginx looks them up.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

extern ngx_command_t commands[];

}  // namespace slab_cache::ngx
