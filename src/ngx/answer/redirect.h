// ngx/answer/redirect.h — answers that are not sent but acted on: X-Accel-Redirect, and a status for which there may be a page.
//
// What        nginx's upstream takes some fields of such an answer to the new location, and goes there. Here the same is
//             done for each client in its own request, from a stored answer or from one that its fill could not store.
//             So the new location's access rules, key and settings are each client's own.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

ngx_int_t redirect_handler(ngx_http_request_t* r) noexcept;  // content handler; REQUIRES ctx->from_fill.redirect
// What a stored answer of that kind asks for. REQUIRES ctx->pin, of kStatusFlag or kRedirectFlag.
ngx_int_t act_on_stored(ngx_http_request_t* r, Ctx* ctx) noexcept;

}  // namespace slab_cache::ngx
