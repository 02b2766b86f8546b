// shm/repair.h — makes a shard whole again after a writer died inside it.
//
// What        Mark and sweep. Truth: index slots, then unfinished[] of all records, then hazard slots. What these reach is
//             kept if it is sound; every other byte is free. Bitmaps, bins, queues and figures are built anew.
// Threading   holder of the shard lock, found dirty; readers and other writers' copies go on meanwhile.
// Death       idempotent: the lock is still dirty, the next owner starts again.
#pragma once

#include "shm/layout.h"
#include "shm/context.h"

namespace slab_cache::shm {

// Nonsense was met: a repair is due although nobody died.
bool wants_repair_locked(const Context& c, const Shard& shard) noexcept;

void repair_locked(Context* c, Shard* shard) noexcept;

}  // namespace slab_cache::shm
