// ngx/fill/passing_post.h — a POST that passes the cache by, and whose answer may be what GETs get (post_copy.h).
//
// What        The request runs as without a cache, and its answer invalidates its URL. Where the answer says that a GET would get
//             the same, it is copied as it goes by, and published when it has ended.
// Which       What would not be stored of a GET is not stored of this either, and less: nothing where the request has a cookie or
//             credentials that the key leaves out, nor where its URL is not invalidated.
// Purges      The copy is born at its own invalidation, which takes all that was fetched before. Of what else was purged between
//             the question and that moment nothing may concern it. So it is judged by the birth it would have had as a fill;
//             then the counter must move by the invalidation alone. Any doubt: it is not stored.
// Rivals      What was pushed since the origin was asked keeps it out, and so does what somebody else asked the origin for later and
//             stored while its body was under way: Fetch::asked stays what it was.
// Unlisted    Its URL is listed no sooner than it is known that there is something to store: else strangers' POSTs would write
//             records for URLs of which nothing is stored. What went unheard of its URL until then is told by a count
//             (listing.h).
// Ownership   lies on the client's pool, as Ctx::passing_post, and ends with its request (leave_fills).
// Cost        of another method: nothing. Of a POST: one block, and a hash of its URL.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/post_copy.h"

namespace slab_cache::ngx {

struct PassingPost : PostCopy {
    int64_t started_sec;
    uint32_t unheard;  // unheard_count() when it was sent to the origin
};

// The request is about to pass, since its method is not cached.
void note_passing_post(Ctx* ctx) noexcept;
// The header is there, and invalidates in a moment. True: it may answer GETs. Then its URL is listed, and `birth` of the copy is
// the counter up to which all purges are known. REQUIRES ctx->passing_post.
bool judge_passing_post(Ctx* ctx, OriginResponse* origin) noexcept;
// Its own invalidation, and nothing else, moved the counter from there to `birth`; 0: it did not.
void copy_passing_post(Ctx* ctx, const OriginResponse& origin, uint64_t birth) noexcept;

}  // namespace slab_cache::ngx
