// ngx/api.h — slab_cache_api: the admin location.
//
// What        GET …/v1/zones, GET …/v1/zones/{z}, POST …/v1/zones/{z}/purge; JSON by jansson, Cache-Control: no-store, errors as
//             application/problem+json.
// Safety      fails closed: 403 unless an access rule of the location let the request in, or the peer is loopback or a unix socket;
//             writing needs write=on; GET and HEAD change nothing.
#pragma once

#include "ngx/ngx.h"

namespace slab_cache::ngx {

ngx_int_t api_handler(ngx_http_request_t* r) noexcept;

struct Zone;
// The zone that the request's path names; nullptr if none.
Zone* api_zone(ngx_http_request_t* r) noexcept;

// True when the peer is loopback or a unix socket, or some access rule (allow, auth_basic, auth_request …) said yes.
bool is_trusted(ngx_http_request_t* r) noexcept;

}  // namespace slab_cache::ngx
