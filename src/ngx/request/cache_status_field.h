// ngx/request/cache_status_field.h — the Cache-Status field (RFC 9211).
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

// `on`: hit or fwd. `detail`: also ttl, collapsed, stored, key and the reason. False when memory ran out.
bool add_status_header(ngx_http_request_t* r, const LocConf* conf) noexcept;

}  // namespace slab_cache::ngx
