// ngx/fill/clone.h — making a fill's internal request out of a client's request.
//
// Threading   one worker's event loop.
// Ownership   the clone has a connection and a pool of its own, and may outlive the client's request. docs/request-fields.md says
//             what it copies and what it borrows.
// Cost        some 7,000 instructions a miss (docs/decisions/0018-direct-fill.md).
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

struct CloneFill;

// A request on a socketless connection with everything that configuration may read of `from` carried over:
// location, headers (less those with which a client could shape the answer), URI, addresses, captures, set variables.
// nullptr when memory or connections have run out; nothing is left behind then.
ngx_http_request_t* clone_request(Ctx* from) noexcept;
// A variable that was set on the way here, and would be carried over, shows arguments that the key leaves out, or their order:
// the origin would be told of them.
bool carries_unkeyed_args(const Ctx* ctx) noexcept;
// Undoes clone_request() for a request that never ran.
void discard_clone(ngx_http_request_t* r) noexcept;

// True for connections made here.
bool is_clone(const ngx_connection_t* c) noexcept;
CloneFill*& fill_on(ngx_connection_t* c) noexcept;  // REQUIRES is_clone(c)

// Adds a request header line to a clone: a revalidation's conditions.
bool add_request_header(ngx_http_request_t* r, Bytes name, Bytes lowcase, Bytes value) noexcept;

// Once per configuration, when all variables have their handlers (init_module): which indexed variables depend on the
// client's connection and must be evaluated there, and which may have been set on the request's way.
ngx_int_t find_carried_variables(ngx_cycle_t* cycle, MainConf* mcf) noexcept;

}  // namespace slab_cache::ngx
