// ngx/lookup.h — the phase handler: from a request to an object, a wait, or nginx's ordinary path.
#pragma once

#include "ngx/ngx.h"

#include "ngx/ctx.h"

namespace slab_cache::ngx {

// PRECONTENT, after every access check. NGX_DECLINED: go on as if we were not there. NGX_OK: our content handler
// will answer. NGX_AGAIN: parked, an event resumes us.
ngx_int_t precontent_handler(ngx_http_request_t* r) noexcept;

// The zone this location caches in, nullptr for none.
Zone* zone_for(ngx_http_request_t* r, const LocConf* conf) noexcept;

}  // namespace slab_cache::ngx
