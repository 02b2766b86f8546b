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

#include "http/storable.h"
#include "ngx/fill/fetch.h"
#include "ngx/fill/origin_response.h"

namespace slab_cache::ngx {

struct PostCopy : Fetch {    // asks nobody: no leader, no lease
    PostCopyPhase phase;     // written by set_phase() alone
    http::TargetUri target;  // of the POST
};

// With the client's request at hand: under which key a GET would look. nullptr: there is no second object, nor where memory ran out.
PostCopy* plan_post_copy(Ctx* ctx, ngx_pool_t* pool) noexcept;
// The answer is stored for POSTs: also for GETs?
void begin_post_copy(PostCopy* copy, const CloneFill& post, const OriginResponse& origin) noexcept;
// Before the body is consumed. `listed`: as the POST's URL is, for it is the same.
void copy_post(PostCopy* copy, Listed listed, const ngx_chain_t* in) noexcept;
void end_post_copy(PostCopy* copy) noexcept;  // idempotent; what is not whole is dropped

}  // namespace slab_cache::ngx
