// ngx/glue/reply.h — short answers of our own.
#pragma once

#include "ngx/glue/ngx.h"

struct json_t;

namespace slab_cache::ngx {

// Sends `body` (on the request's pool, or static) with Cache-Control: no-store and X-Content-Type-Options: nosniff.
ngx_int_t send_reply(ngx_http_request_t* r, ngx_uint_t status, Bytes type, Bytes body) noexcept;
ngx_int_t send_json(ngx_http_request_t* r, ngx_uint_t status, Bytes body) noexcept;
// The same of a document, whose reference it takes. nullptr (out of memory) is a 500.
ngx_int_t send_json(ngx_http_request_t* r, ngx_uint_t status, json_t* document) noexcept;
// application/problem+json (RFC 9457): title for machines' logs, detail for people. `reason`: a word of http/reason.def.
ngx_int_t send_problem(ngx_http_request_t* r, ngx_uint_t status, Bytes title, Bytes detail, Bytes reason = {}) noexcept;

// A line of the answer's header. `name` and `value` outlive the request or lie on its pool.
bool add_answer_header(ngx_http_request_t* r, Bytes name, Bytes value) noexcept;

// Text for a document; bytes that are no UTF-8 come out as '?'.
json_t* json_text(Bytes text) noexcept;

}  // namespace slab_cache::ngx
