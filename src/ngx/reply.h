// ngx/reply.h — short answers of our own.
#pragma once

#include "ngx/ngx.h"

namespace slab_cache::ngx {

// Sends `body` (on the request's pool, or static) with Cache-Control: no-store.
ngx_int_t send_reply(ngx_http_request_t* r, ngx_uint_t status, Bytes type, Bytes body) noexcept;
ngx_int_t send_json(ngx_http_request_t* r, ngx_uint_t status, Bytes body) noexcept;
// application/problem+json (RFC 9457): title for machines' logs, detail for people.
ngx_int_t send_problem(ngx_http_request_t* r, ngx_uint_t status, Bytes title, Bytes detail) noexcept;

}  // namespace slab_cache::ngx
