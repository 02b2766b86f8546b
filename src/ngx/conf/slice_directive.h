// ngx/conf/slice_directive.h — which locations ask the origin in slices (request/sliced_request.h): seen while the configuration is read.
//
// Where       `slice` is not 0, and a directive that makes the origin's request (proxy_set_header and its kind) or
//             slab_cache_key names $slice_range itself. Everywhere else fills are whole.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

// Behind the setter of `slice`.
void note_slice(ngx_conf_t* cf) noexcept;
// Is it one of the directives that make the origin's request?
bool shapes_origin_request(Bytes directive) noexcept;
// ... behind the setter of such a one; nothing for others.
void note_origin_request(ngx_conf_t* cf, Bytes directive) noexcept;
// At merge, when the key is known: LocConf::is_sliced.
void merge_slice(const LocConf* prev, LocConf* conf) noexcept;

}  // namespace slab_cache::ngx
