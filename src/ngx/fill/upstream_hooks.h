// ngx/fill/upstream_hooks.h — the members of nginx's upstream that functions of ours stand in for.
//
// What        process_header      the origin's header is read: interim responses are taken out (interim_responses.h), a short body is
//                                 waited for (direct_fill.h)
//             reinit_request      the request goes to another peer: process_header is put in again
//             read_event_handler  the first byte comes: the buffer may be enlarged (upstream_buffer.h); once, then nginx's own stands again
// How         nginx's own functions lie in one struct a request, and ours call them. Only a content handler makes the upstream,
//             after us: a fill runs it itself and hooks behind it; for what passes by it is done in a posted event, which
//             nothing read from a socket precedes.
// Rule        no other file assigns a handler of ngx_http_upstream_t (make lint).
// Errors      where memory has run out nothing is hooked: the request goes as nginx would have it.
// Rejected    the header filter: by then nginx has made up its mind about the body.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/fetch.h"

namespace slab_cache::ngx {

// `r` (a fill's, or a client's that passes the cache by) is about to reach its content handler.
void hook_upstream_later(ngx_http_request_t* r) noexcept;
// The same once the content handler has run: its upstream is there.
void hook_upstream(ngx_http_request_t* r) noexcept;
// The origin was asked for this fill, and has sent nothing yet.
void hook_first_read(Fill* fill) noexcept;

}  // namespace slab_cache::ngx
