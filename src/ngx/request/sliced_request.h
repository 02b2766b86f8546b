// ngx/request/sliced_request.h — requests of locations that ask the origin in slices (nginx's slice module).
//
// What        The module asks for a large file part by part. $slice_range names the part; a subrequest of the client's asks
//             for each part behind the first. Each part is an object of its own.
// Key         ends with the part's range, whatever slab_cache_key says: no part is ever given for another.
// Where       conf/slice_directive.h.
// The rest    is the module's. Its filters come behind ours: they put parts together and end an answer whose parts do not
//             belong together.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

// ctx->part.is_asked() and its kin. Not kNone: nothing can be kept of this request.
http::Reason read_slice(Ctx* ctx) noexcept;
// A part has its whole's URL. False: there is no such to be had.
bool share_url(Ctx* ctx) noexcept;
// $slice_range of a fill's request: the part's, or none; it must not begin anew there. False when memory ran out.
bool put_slice_range(ngx_http_request_t* clone, const Ctx* ctx) noexcept;

// The stored answer is a part, for the module to put in its place.
inline bool is_stored_part(const Ctx* ctx, const cache::StoredResponse& stored) noexcept {
    return ctx->part.is_asked() && stored.status == NGX_HTTP_PARTIAL_CONTENT;
}

// ---- a file that changes ----
// The client's answer began with one version of the file. What is stored of an older one is fetched anew; where a newer one turns
// up, the module ends the answer, and what it began with is stored no longer. So the next client gets the new version.

// True: this stored part is not for this answer. One of an older version than the answer began with is removed. Others are kept:
// what did not begin with a stored part, and has no ETag for the module to look at, may be of any version.
bool turn_down_part(Ctx* ctx, const cache::StoredResponse& part) noexcept;
// ctx->pin is about to be sent. False: what the client has so far came from the cache, and this is of another file; nginx's
// module would not notice, since there is no ETag.
bool fits_whole(Ctx* ctx) noexcept;
// The same of a part whose header comes by another way than from the store: relayed, or passed by.
bool passes_as_part(ngx_http_request_t* r, Ctx* ctx) noexcept;

// Where the client's answer ends, counted from this part's first byte; UINT64_MAX where that is not known.
uint64_t end_within_part(const Ctx* ctx) noexcept;

}  // namespace slab_cache::ngx
