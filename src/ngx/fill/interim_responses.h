// ngx/fill/interim_responses.h — 1xx responses that an origin sends before the final one, over proxy_pass.
//
// What        nginx takes the first response for the final one (since 1.29 unless it is a 103): the client gets a 103
//             without an end, and what should have been stored is lost. Here a request on its way to the origin has its
//             response's header read by a function around nginx's own, which starts over after a 1xx. Where the client
//             speaks HTTP/1.1 and its request led the fill, it is sent the 1xx too (RFC 9110 §15.2); others do without.
//             From 1.29 on nginx's early_hints decides about that.
// How         upstream's process_header and reinit_request are replaced by ours, which call them. Only a content
//             handler makes the upstream, after us: a fill runs it itself and arms behind it; for what passes by it is
//             done in a posted event, which nothing read from a socket precedes.
// Bounds      an origin that sends more than a hundred has sent no valid header: 502, or stale.
// Rejected    the header filter: by then nginx has made up its mind about the body.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

// `r` (a fill's, or a client's that passes the cache by) is about to reach its content handler.
// Where memory has run out nothing is done: the request goes as nginx would have it.
void expect_interim(ngx_http_request_t* r) noexcept;
// The same once the content handler has run: its upstream is there.
void arm_interim(ngx_http_request_t* r) noexcept;

}  // namespace slab_cache::ngx
