// ngx/api/page.h — GET …/: the page for people (admin.html, embedded by tools/embed.sh). It asks the API and nobody else.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t send_page(Call* call) noexcept;

}  // namespace slab_cache::ngx
