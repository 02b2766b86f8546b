// ngx/api/push_call.h — PUT …/entry?url=: a response that the application made beforehand.
//
// What        The body is the response's body. Content-Type, Content-Language, Cache-Control, CDN-Cache-Control, Expires,
//             ETag, Last-Modified, Link and Location are taken as they are, any other field under the prefix X-Response-.
//             Surrogate-Key, Cache-Tag, xkey and Cache-Groups name its tags. ?status= (200), ?ttl= in seconds (over all that
//             the fields say). It is stored under the default key of the URL.
// Whole       With Content-Type: message/http the body is the whole response, as it lies in a store before the origin
//             (cache/tier_value.h): status, fields, tags, position; then no field of the request says any of that.
// Variants    Where the response has Vary, X-Request-<Field> says what the requests have in <Field> that are to get it; a field of
//             Vary that is not given is one that they do not have. Normalised and keyed as for a fill (http/vary.h, variants.h).
// Fence       If-Purge-Seq: n says that what the body was made of was read after purge n: 412 if a purge of its URL, prefixes,
//             host or tags came since. Without it, the purges since the request began count.
//             Slab-Position: id says the same of the fleet's stream, up to that entry, and so for all machines at once. 503 where
//             this one has not read up to there.
// Refused     what no response of an origin could do either (http/storable.h), Set-Cookie, and a Content-Encoding that requests
//             as described do not name, or that nothing would keep from the others.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t push_entry(Call* call) noexcept;

// A field of the PUT that says something about what is stored.
bool is_push_field(Bytes name) noexcept;

}  // namespace slab_cache::ngx
