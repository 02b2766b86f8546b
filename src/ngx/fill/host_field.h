// ngx/fill/host_field.h — the Host field of a request over HTTP/3.
//
// nginx makes one of HTTP/2's :authority, and none of HTTP/3's: $http_host is empty, and the same page would have one key over TCP and another
// over QUIC. Where we look at a request it gets one, as over HTTP/2.
//
// Threading   one worker's event loop.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

// False when memory ran out.
bool complete_host_field(ngx_http_request_t* r) noexcept;

}  // namespace slab_cache::ngx
