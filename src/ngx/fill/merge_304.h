// ngx/fill/merge_304.h — the stored header after a 304, as http/update.h has it.
//
// What        Two readings of the same merge: with all that the origin said, for the rules to judge; and with what nginx
//             would pass on (proxy_hide_header, proxy_redirect have been at it), which is stored and sent.
// Ownership   lines live on the fill's pool.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/stored_head.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/fill/origin_response.h"

namespace slab_cache::ngx {

struct Lines {
    http::Field* data;
    size_t size;

    void add(Bytes name, Bytes value) noexcept { data[size++] = {name, value}; }
    bool has(Bytes name) const noexcept { return http::Fields{data, size}.has(name); }
};

struct Merge {
    http::Fields stored;  // of the object
    Lines evaluated;      // with the 304's raw lines: for the rules
    Lines lines;          // with what nginx would pass on: to be stored; has room for four more
};

// The fields of a stored head as the rules read them; their bytes stay the head's. False when memory ran out.
bool stored_fields(ngx_pool_t* pool, const cache::StoredResponse& stored, http::Fields* out) noexcept;

// False when memory ran out, or the stored head is nonsense.
bool merge_header(CloneFill* fill, const OriginResponse& origin, const cache::StoredResponse& stored,
                  Merge* out) noexcept;

}  // namespace slab_cache::ngx
