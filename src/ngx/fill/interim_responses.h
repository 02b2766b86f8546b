// ngx/fill/interim_responses.h — 1xx responses that an origin sends before the final one, over proxy_pass.
//
// What        nginx takes the first response for the final one (since 1.29 unless it is a 103): the client gets a 103
//             without an end, and what should have been stored is lost. Here a request on its way to the origin has its
//             response's header read by a function around nginx's own, which starts over after a 1xx. Where the client
//             speaks HTTP/1.1 and its request led the fill, it is sent the 1xx too (RFC 9110 §15.2); others do without.
//             From 1.29 on nginx's early_hints decides about that.
// How         upstream_hooks.h reads the header, asks here what it was, and reads again.
// Bounds      an origin that sends more than kMostInterim has sent no valid header: 502, or stale.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

constexpr uint32_t kMostInterim = 100;

// Only proxy_pass speaks HTTP with its origin: the other protocols have no interim responses of their own.
bool may_send_interim_first(const ngx_http_upstream_t& u) noexcept;
// nginx's own process_header has read a response's header, and answered `rc`.
bool is_interim_response(ngx_http_request_t* r, ngx_int_t rc) noexcept;
// Sends it to the client that waits for this response at first hand, where that may be sent one.
void forward_interim(ngx_http_request_t* r) noexcept;
// As ngx_http_upstream_reinit() does for another peer, but the rest of what was read stays. False when memory ran out.
bool forget_interim(ngx_http_request_t* r) noexcept;

}  // namespace slab_cache::ngx
