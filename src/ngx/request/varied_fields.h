// ngx/request/varied_fields.h — a request's fields as its origin sees them, for what a response varies on.
//
// Cost        of a location that sets none of the fields that the spec names: a copy of the header's lines, as
//             request_fields(). Else their values are made, as nginx makes them for the origin.
#pragma once

#include "ngx/glue/ngx.h"

#include "http/fields.h"
#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

// All fields that a response may vary on.
inline constexpr Bytes kAnySpec = "*";

// `spec` names those that count (http/vary.h). On the request's pool; empty when memory ran out. Accept-Encoding stays the client's:
// it is for the client that a coding is chosen.
http::Fields varied_fields(ngx_http_request_t* r, const LocConf* conf, Bytes spec) noexcept;

}  // namespace slab_cache::ngx
