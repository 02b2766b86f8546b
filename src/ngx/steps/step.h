// ngx/steps/step.h — where nginx's phases lead into the cache, and what runs the steps of a request.
//
// What        content_handler() runs one step after the other until one says that nginx goes on, answers, or waits. Which file
//             has which step: step_table.h names them, docs/design/request.md lists the files.
// Rule        a step never blocks and never calls nginx's phases (but for a direct fill, at its end); it sets ctx->step and says
//             how to go on.
// Threading   one worker's event loop. resume() comes from an event, never from inside another request's call stack.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

enum class Next : uint8_t {
    kMore,     // run ctx->step
    kWait,     // parked: an event resumes
    kReading,  // nginx reads the request's body, then runs the phases again
    kDecline,  // nginx's ordinary way
    kServe,    // our content handler answers
    kDirect,   // the rest of the phases run, to fill with their answer
    kError,    // ctx->error_status, or 502
};

// PREACCESS: what the log says should another location answer, and whether this one's access rules let the request in.
ngx_int_t arrive(ngx_http_request_t* r) noexcept;
// PRECONTENT, before try_files: PURGE alone.
ngx_int_t purge_phase_handler(ngx_http_request_t* r) noexcept;

// Where nginx would call the content handler (phases.h). NGX_DECLINED: go on as if we were not there. NGX_OK:
// r->content_handler is ours, and answers. NGX_AGAIN: parked, an event resumes us. NGX_DONE: under way.
ngx_int_t content_handler(ngx_http_request_t* r) noexcept;
void resume(void* ctx) noexcept;  // Waiter::resume of every request

// The steps of start.cpp: zone, URL, key; then lookup, or what bypasses it.
Next start(Ctx* ctx) noexcept;
Next begin_lookup(Ctx* ctx) noexcept;  // the body, if the key needs it, has been read

}  // namespace slab_cache::ngx
