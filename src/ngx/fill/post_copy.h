// ngx/fill/post_copy.h — a POST's answer that serves later GETs of its URL too (RFC 9110 §9.3.3).
//
// What        The answer has explicit freshness and a Content-Location that is the POST's own URL: the origin says that a GET
//             would get the same. It is stored under the key and the identity that a GET has, and never answers a POST.
// Owners      Where POST is in slab_cache_methods, the clone that asks for the POST's own object: this is a second one. Where it
//             is not, the client's request that passes by (passing_post.h).
// The key     is what slab_cache_key comes to for a GET without a body. Only keys whose variables are known to say the
//             same of both take part (LocConf::post_fills_get), and only URLs that no rewrite has changed.
// Ownership   lies on the pool of the owner's request; the owner ends it.
#pragma once

#include "ngx/glue/ngx.h"

#include "http/storable.h"
#include "ngx/fill/fetch.h"
#include "ngx/fill/origin_response.h"

namespace slab_cache::ngx {

struct PostCopy : Fetch {    // asks nobody: no leader, no lease
    PostCopyPhase phase;     // written by set_phase() alone
    http::TargetUri target;  // of the POST
    Listed listed;           // the POST's URL, under way while its answer is copied
};

// With the client's request at hand: under which key a GET would look. nullptr: there is no second object, nor where memory ran out.
PostCopy* plan_post_copy(Ctx* ctx, ngx_pool_t* pool) noexcept;
// The answer is stored for POSTs: also for GETs?
void begin_post_copy(PostCopy* copy, const CloneFill& post, const OriginResponse& origin) noexcept;

// ---- of both owners ----
// `get` becomes ctx, as it would be of a GET: at the slot in which that has, or would have, its object, and that is not ctx's.
bool key_of_get(const Ctx* ctx, Ctx* get) noexcept;
// All but the body is known. Where the object cannot be begun, the copy is over.
void start_post_copy(PostCopy* copy, const OriginResponse& origin) noexcept;
// Before the body is consumed.
void copy_post(PostCopy* copy, const ngx_chain_t* in) noexcept;
void end_post_copy(PostCopy* copy) noexcept;  // idempotent; what is not whole is dropped

}  // namespace slab_cache::ngx
