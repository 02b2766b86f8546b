// ngx/fill/store_object.h — a response becomes an object: its head is written, its selectors and its variant determined.
//
// Threading   one worker's event loop.
// Ownership   fetch->writer is the caller's to publish or abort. Head and lines lie on the fill's pool.
// Errors      Status, and *reason; the object is not begun then. publish_validated(): what must not stay as it was is removed.
// Cost        a begun object takes its shard's lock for its first run; each append() that needs another takes it again.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/clone_fill.h"
#include "ngx/fill/origin_response.h"

namespace slab_cache::ngx {

// Begins the object of a storable response in fetch->writer. On failure *reason may say more than the Status.
shm::Status begin_object(Fetch* fetch, const OriginResponse& origin, http::Reason* reason) noexcept;

// After a 304: the stored object again, under the merged header. *pin is the new object (for the leader), if it was
// written. REQUIRES fill->stale.
shm::Status publish_validated(CloneFill* fill, const OriginResponse& origin, shm::Pin* pin) noexcept;

}  // namespace slab_cache::ngx
