// ngx/api/entry_json.h — a stored object as JSON.
#pragma once

#include "ngx/glue/ngx.h"

#include "shm/store.h"

struct json_t;

namespace slab_cache::ngx {

struct Zone;

// Of a pinned object; a new reference. `pool`: for what of it lies in pieces. A variant marker is told apart by its "vary".
json_t* entry_json(ngx_pool_t* pool, Zone* zone, const shm::Pin& pin, shm::Validity validity) noexcept;

// A key as people may see it, at most 1 KB of it.
json_t* key_json(Bytes key, const uint8_t* secret) noexcept;

bool has_selector(const shm::Pin& pin, uint64_t selector) noexcept;

}  // namespace slab_cache::ngx
