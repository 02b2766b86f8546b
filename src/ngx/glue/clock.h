// ngx/glue/clock.h — a clock finer than the event loop's.
#pragma once

#include "ngx/glue/ngx.h"

#include <time.h>

namespace slab_cache::ngx {

// Microseconds of CLOCK_MONOTONIC, read now: no system call, but not free.
inline uint64_t clock_us() noexcept {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1000000 + static_cast<uint64_t>(t.tv_nsec) / 1000;
}

}  // namespace slab_cache::ngx
