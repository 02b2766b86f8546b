// ngx/zone/whole_head.h — the head of a pinned object in one piece.
#pragma once

#include "ngx/glue/ngx.h"

#include "shm/store.h"

namespace slab_cache::ngx {

// A copy on `pool`. Empty: the zone holds nonsense, or no memory.
inline Bytes copied_head(ngx_pool_t* pool, const shm::Store& store, const shm::Pin& pin) noexcept {
    const size_t size = shm::Store::head_length(pin);
    auto* p = static_cast<char*>(ngx_pnalloc(pool, size + 1));
    return p != nullptr && store.copy_head(pin, p) ? Bytes{p, size} : Bytes{};
}

// As it lies in the zone, valid while it is pinned. One that is longer than a block lies in pieces, and is copied.
inline Bytes whole_head(ngx_pool_t* pool, const shm::Store& store, const shm::Pin& pin) noexcept {
    const Bytes head = shm::Store::head(pin);
    return head.size() == shm::Store::head_length(pin) ? head : copied_head(pool, store, pin);
}

}  // namespace slab_cache::ngx
