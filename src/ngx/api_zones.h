// ngx/api_zones.h — sizes, fill level and counters of zones as JSON.
#pragma once

#include "ngx/ngx.h"

namespace slab_cache::ngx {

struct Zone;

ngx_int_t send_zones(ngx_http_request_t* r, Zone* unused) noexcept;   // all
ngx_int_t send_zone(ngx_http_request_t* r, Zone* zone) noexcept;

}  // namespace slab_cache::ngx
