// ngx/zone/validity.h — is a stored object still valid? The store's answer, and that of purges by pattern (cache/globs.h).
//
// Cost        one load more than the store's answer while no pattern was purged since the object's birth. An object older than
//             the newest pattern is matched once: when nothing matches, its birth is raised to that pattern's counter.
// Threading   one worker's event loop. No lock, but where a prior zone's patterns are taken over (import_globs).
// Ownership   `url` is views. Its pool is used where patterns are asked.
// Errors      where memory has run out the object is kPurged: a miss.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/selector_list.h"
#include "ngx/zone/user_area.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {

struct UrlOf {
    ngx_pool_t* pool;
    Bytes host;
    Bytes uri;  // as Ctx has it
};

shm::Validity validity_with_globs(Zone* zone, const UrlOf& url, const shm::Pin& pin) noexcept;

inline shm::Validity validity_of(Zone* zone, const UrlOf& url, const shm::Pin& pin) noexcept {
    if (zone->priors != 0 && is_behind_on_globs(*zone)) {
        import_globs(zone);  // before the store's answer, which then knows of them
    }
    const shm::Validity validity = zone->store.validity(pin);
    const UserArea* area = static_cast<const UserArea*>(zone->store.user_area());
    if (validity == shm::Validity::kPurged || area == nullptr ||
        area->globs.newest.load_acquire() <= shm::Store::birth(pin)) {  // [glob-newest]
        return validity;
    }
    return validity_with_globs(zone, url, pin);
}

// Of what is no object yet: has anything purged it, or made it stale or doubtful, since `birth`? By the rules themselves, not by the
// counters.
bool is_valid_since(Zone* zone, const UrlOf& url, const cache::SelectorList& selectors, uint64_t birth) noexcept;

}  // namespace slab_cache::ngx
