// ngx/zone/zone_directives.h — slab_cache_zone and slab_cache.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

// After all of http {} was read: each zone that is used is defined.
char* check_zones(ngx_conf_t* cf, void* conf) noexcept;
char* set_zone(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
char* set_cache(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
// Behind the merge of a location: warns of slices that its zone will not take.
void warn_of_slices(ngx_conf_t* cf, const LocConf& conf) noexcept;
// Behind the merge of a location: one that caches under the default key finds what is pushed into its zone.
void note_default_key(ngx_conf_t* cf, const LocConf* conf) noexcept;

}  // namespace slab_cache::ngx
