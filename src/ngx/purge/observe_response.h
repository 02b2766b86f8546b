// ngx/purge/observe_response.h — responses that nginx's ordinary path sends: what they tell the cache.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

// Header filter's part for requests that are not fills, in every location: an answer to an unsafe method invalidates the URL
// in all zones (RFC 9111 §4.4, RFC 9875). Whatever else it passed the cache by for: an Upgrade, as some clients send with all.
void observe_unsafe(ngx_http_request_t* r, const LocConf* conf) noexcept;
// The same in cached locations: one that passed under a mark says whether the key is still uncacheable.
void observe_response(ngx_http_request_t* r, const LocConf* conf) noexcept;

}  // namespace slab_cache::ngx
