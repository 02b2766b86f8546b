// ngx/request/past.h — who writes the history of a zone's counters (cache/history.h): the upkeep of whichever worker is the
// first in a minute to look.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

// In a worker, before its zones' upkeep begins.
void keep_past(ngx_cycle_t* cycle) noexcept;

}  // namespace slab_cache::ngx
