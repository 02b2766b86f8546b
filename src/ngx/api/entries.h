// ngx/api/entries.h — GET …/entries?[prefix=][&tag=][&n=][&after=]: what is stored, page by page.
//
// What        objects whose URL lies below a prefix, and that carry a tag; all where neither is said. No order: the index is walked. A
//             page ends after about n of them, or after 20 ms; "next" says where the next one begins.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t send_entries(Call* call) noexcept;

}  // namespace slab_cache::ngx
