// ngx/zone/zone_memory.h — how much memory a zone takes, in words, and how much there may be.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

// "16m", "8191k": for %s.
struct SizeText {
    u_char text[24];
};
SizeText size_text(uint64_t bytes) noexcept;

// The least that the control groups of this process allow, of either version; 0 where none says anything.
uint64_t memory_limit() noexcept;

}  // namespace slab_cache::ngx
