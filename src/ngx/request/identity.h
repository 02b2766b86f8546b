// ngx/request/identity.h — which answer this is: not only the URL, but what nginx made of it.
//
// What        One URL may lead to several answers: through rewrites and internal redirects, `if` blocks, several
//             servers of one name, a backend that a variable names. The default key is the client's URL alone; the rest
//             is a 64-bit identity: of the location that answers, of the inner URI where it differs from the client's,
//             and of what variables in proxy_pass and root come to. It is the first selector of each object, and
//             compared at each use. Objects of one URL under several identities lie in slots (find_object.h).
// Stable      over reload and restart, as long as server and location are written as they are.
// Explicit    slab_cache_key is taken as it stands: all such objects share one identity.
// HEAD        where it is asked as such and the key has the method, its answers are those of kHeadIdentity: without a body
//             they are for no GET, whatever the key's fields run into.
// POST        the same: what a POST answers is for POSTs, whatever the key says of the method. What its origin says is for
//             GETs too is stored a second time, as a GET's (post_copy.h).
// Slices      the same: parts of files are for those who ask for this part (sliced_request.h).
// Pushed      an object that a client of the API stored has kPushedIdentity: it is for requests that reach a location by
//             the URL as it is.
// Cost        read_identity(): once a request. is_of(): the first selector of a pinned object.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/location_identity.h"
#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

// ctx->identity and is_plain. False when memory ran out, or a variable could not be had.
bool read_identity(Ctx* ctx) noexcept;
// The same as other machines with this configuration have it. REQUIRES the default key. False: as above.
bool read_shared_identity(const Ctx* ctx, uint64_t* identity) noexcept;
// May this object be given to this request?
bool is_of(const Ctx* ctx, const shm::Pin& pin) noexcept;
// Leases and marks of one key are kept apart by identity.
inline shm::Digest with_identity(const shm::Digest& d, uint64_t identity) noexcept { return {d.lo ^ identity, d.hi}; }

// Its answer is stored, and for other HEADs.
inline bool is_head_apart(const ngx_http_request_t* r, const LocConf* conf) noexcept {
    return conf->head_apart && r->method == NGX_HTTP_HEAD;
}
// It may be answered from the cache, but the origin is not to be asked by GET for it, and its answer is no GET's: where
// the operator says so, and where its answer is its sender's alone (a signature of the method, say, is only right for it).
bool is_head_alone(const Ctx* ctx) noexcept;

// The content handler is one that makes an upstream from a request alone, or nginx's own for files: an internal request
// of ours may call it in the client's place.
bool is_clonable(const Ctx* ctx) noexcept;
// ... one of those, whose answer is its own output alone: others may make theirs out of subrequests'.
bool is_one_piece(const Ctx* ctx) noexcept;

}  // namespace slab_cache::ngx
