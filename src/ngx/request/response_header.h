// ngx/request/response_header.h — headers_out from a stored head, and a client's conditions answered from it.
//
// Threading   one worker's event loop.
// Ownership   names and values in headers_out are views of the head: of ctx->pin's object, which the request keeps pinned, or of
//             the request's copy of it (answer/spool.h). The lines are on the request's pool.
// Errors      no memory: NGX_ERROR. A head that is nonsense was found by the lookup.
#pragma once

#include "ngx/glue/ngx.h"

#include "http/validator.h"
#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

// Fills r->headers_out from ctx->pin, with Age. Answers If-* (304, 412). NGX_OK, or a final status / NGX_ERROR.
ngx_int_t build_header(ngx_http_request_t* r, Ctx* ctx) noexcept;

// The same from a head and a body's length (-1: not known yet).
ngx_int_t put_header(ngx_http_request_t* r, Ctx* ctx, const cache::StoredResponse& stored, int64_t length,
                     bool complete) noexcept;

// May nginx's range filter cut the response in headers_out, whose validators are these? Range and If-Range by RFC 9110.
bool range_allowed(ngx_http_request_t* r, const http::Validators& whole) noexcept;

// True when nginx's range filter will cut several ranges, for which it wants the body in one buf.
bool wants_one_buf(ngx_http_request_t* r) noexcept;

// Type, and its charset, as nginx keeps them. `value` outlives the request.
void set_content_type(ngx_http_request_t* r, Bytes value, size_t type_len) noexcept;

// A path in Location that nginx makes absolute: proxy_redirect made it. One that the origin wrote is left to the client.
bool is_location_ours(const ngx_http_headers_out_t& out) noexcept;
void make_location_ours(ngx_http_request_t* r) noexcept;
// proxy_pass_header lets the origin's Server through, and there is none: nginx adds none of its own.
bool is_server_withheld(const ngx_http_headers_out_t& out) noexcept;
void withhold_server(ngx_http_request_t* r) noexcept;

// Adds a line to headers_out and to its typed place, if it has one. `lowcase` and `value` outlive the request.
bool set_header_out(ngx_http_request_t* r, Bytes name, Bytes lowcase, Bytes value) noexcept;

}  // namespace slab_cache::ngx
