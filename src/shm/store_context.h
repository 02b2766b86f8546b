// shm/store_context.h — Store's own context, for the files that implement it.
#pragma once

#include <new>

#include "shm/context.h"
#include "shm/store.h"

namespace slab_cache::shm {

inline Context& Store::process() noexcept { return *std::launder(reinterpret_cast<Context*>(process_)); }
inline const Context& Store::process() const noexcept {
    return *std::launder(reinterpret_cast<const Context*>(process_));
}

}  // namespace slab_cache::shm
