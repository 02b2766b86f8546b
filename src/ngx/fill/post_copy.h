// ngx/fill/post_copy.h — the answer to a POST that is what a GET would bring (RFC 9110 §9.3.3).
//
// What        under slab_cache_invalidate replace, a POST that passes, and whose answer has a lifetime and names its own URL in
//             Content-Location, is copied into the zone as it goes by, for GETs of that URL.
// Order       it invalidates what is stored there (RFC 9111 §4.4), and is born at that very purge. What was purged between
//             its start and then is held against it, as against a push (push_call.h).
// Listing     its URL is listed when its answer qualifies, not before: had each POST its URL listed, there would be nothing
//             that strangers' POSTs do not list. Invalidations that went unheard until then refuse it.
// Not for     an explicit slab_cache_key: what it would come to for a GET is not known.
// Ownership   the copy is ctx->direct; direct_fill.h carries it on.
#pragma once

#include "ngx/glue/ngx.h"

#include "http/message.h"
#include "ngx/fill/fill.h"
#include "ngx/fill/origin_response.h"

namespace slab_cache::ngx {

struct PostCopy {
    Fill* fill;             // nullptr: the answer is for nobody else
    OriginResponse origin;
    uint64_t settled;       // the purge counter up to which nothing is held against it
};

// The request goes to the origin: from here on purges count.
void expect_post(Ctx* ctx) noexcept;
// Its header is there, and nothing invalidated yet.
void prepare_post_copy(Ctx* ctx, const http::Target& target, PostCopy* copy) noexcept;
// Its own invalidation was purge number `seq`; 0: there was none.
void begin_post_copy(Ctx* ctx, PostCopy* copy, uint64_t seq) noexcept;

}  // namespace slab_cache::ngx
