// ngx/steps/lookup.h — from a request to an object, a wait, or nginx's ordinary path.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

// PREACCESS: what the log says should another location answer, and whether this one's access rules let the request in.
ngx_int_t arrive(ngx_http_request_t* r) noexcept;
// PRECONTENT, before try_files: PURGE alone.
ngx_int_t purge_phase_handler(ngx_http_request_t* r) noexcept;

// Where nginx would call the content handler (phases.h). NGX_DECLINED: go on as if we were not there. NGX_OK:
// r->content_handler is ours, and answers. NGX_AGAIN: parked, an event resumes us. NGX_DONE: under way.
ngx_int_t content_handler(ngx_http_request_t* r) noexcept;

}  // namespace slab_cache::ngx
