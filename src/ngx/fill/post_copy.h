// ngx/fill/post_copy.h — a POST's answer that serves later GETs of its URL too (RFC 9110 §9.3.3).
//
// What        POST is in slab_cache_methods, and the answer has explicit freshness and a Content-Location that is the POST's
//             own URL: the origin says that a GET would get the same. It is stored a second time, under the key and the
//             identity that a GET has. A POST is still answered by what POSTs were answered, and never by a GET's object.
// The key     is what slab_cache_key comes to for a GET without a body. Only keys whose variables are known to say the
//             same of both take part (LocConf::post_fills_get), and only URLs that no rewrite has changed.
// Ownership   lies on the pool of the fill's request.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/clone_fill.h"
#include "ngx/fill/origin_response.h"

namespace slab_cache::ngx {

// With the client's request at hand: under which key a GET would look. Without memory there is no second object.
void plan_get(Ctx* ctx, Fill* post) noexcept;
// The answer is stored for POSTs: also for GETs?
void begin_for_get(Fill* post, const OriginResponse& origin) noexcept;
// Before the body is consumed.
void copy_for_get(Fill* post, const ngx_chain_t* in) noexcept;
void end_for_get(Fill* post) noexcept;  // idempotent; what is not whole is dropped

}  // namespace slab_cache::ngx
