// ngx/api/explain.h — one URL: GET …/entry?url= explains, DELETE purges exactly it.
//
// What        The object under the default key of that URL, its variants, age, ttl, cost and validity; where nothing is stored,
//             the last reason seen. Objects under another slab_cache_key are found by their selectors, in a walk of at most
//             20 ms. `header=` asks for a request with such fields (explain_request.h). `tag=` asks whether the objects carry that tag (tags are kept as hashes, so they cannot be listed).
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t explain_entry(Call* call) noexcept;
ngx_int_t purge_entry(Call* call) noexcept;

}  // namespace slab_cache::ngx
