// ngx/glue/write_interim.h — 1xx responses on their way to a client.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

// Past all filters but the last, which keeps what the socket does not take. HTTP/1.1 alone; `b` lives as long as the request.
void write_interim(ngx_http_request_t* r, ngx_buf_t* b) noexcept;

// May this request be sent a 103 before its response? Never over HTTP/1.0; over HTTP/2 and 3 where nginx can (1.29).
bool can_send_early_hints(const ngx_http_request_t* r) noexcept;
// A 103 with one Link field. `link` lives as long as the request. False: nothing was sent.
bool send_early_hints(ngx_http_request_t* r, Bytes link) noexcept;

}  // namespace slab_cache::ngx
