// ngx/fleet/fleet_answer.h — a purge's answer waits until others know of it.
//
// What        A request whose purge was put into the outbox is answered when the server has taken the entry, or 100 ms later as
//             queued; with Prefer: wait=n (RFC 7240) when all nodes have done it, or n seconds later.
// Ownership   on the request's pool; a client that hangs up takes it away.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fleet/purge_zone.h"

struct json_t;

namespace slab_cache::ngx {

enum class FleetState : uint8_t { kQueued, kPublished, kApplied };

// Sends the answer; `fleet` is its object, the caller's from now on. Returns what a content handler returns.
using FleetAnswerFn = ngx_int_t (*)(ngx_http_request_t* r, ngx_uint_t status, json_t* fleet, void* data) noexcept;

// The answer is sent now, or later: then NGX_DONE is returned, and the request goes on by itself.
ngx_int_t answer_when_told(ngx_http_request_t* r, Zone* zone, const Told& told, FleetAnswerFn fn, void* data) noexcept;

}  // namespace slab_cache::ngx
