// ngx/zone/user_area.h — what this layer keeps in the zone beside objects (shm::Store::user_area()).
//
// Layout      of kUserAreaBytes, and the cells of the URL filter behind them. Zeroed when the zone is formatted. `version` tells builds apart where a zone outlives them (file=): an area of
//             another version is not used.
#pragma once

#include "ngx/glue/ngx.h"

#include <cstddef>

#include "base/atom.h"
#include "cache/globs.h"
#include "cache/sketch.h"
#include "cache/url_filter.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {

inline constexpr uint32_t kUserAreaVersion = 4;
inline constexpr uint32_t kUserAreaBytes = 256 * 1024;

struct UserArea {
    base::Atom<uint32_t> version;   // 0: fresh
    uint32_t pad0;
    base::Atom<uint64_t> prior_globs[shm::Store::kPriors];   // the newest pattern of each prior zone that counts here too
    cache::UrlFilterHead listed;    // its cells are behind this struct (listing.h)
    cache::GlobTable globs;         // purges by pattern, and by several tags
    cache::Sketch served;           // routes by origin time saved (sampled)
    cache::Sketch lost;             // routes by origin time spent, with the last reason
};
static_assert(std::is_standard_layout_v<UserArea> && offsetof(UserArea, globs) == 64);
static_assert(sizeof(UserArea) <= kUserAreaBytes);

// nullptr where it was written by another version.
inline UserArea* user_area(Zone* zone) noexcept {
    auto* area = static_cast<UserArea*>(zone->store.user_area());
    if (area == nullptr || zone->config.user_bytes < sizeof(UserArea)) {
        return nullptr;
    }
    uint32_t seen = area->version.load_acquire();  // [user-area]
    if (seen == 0 && area->version.cas_acq_rel(seen, kUserAreaVersion)) {  // [user-area] zeroes are an empty area
        return area;
    }
    return seen == kUserAreaVersion ? area : nullptr;
}

}  // namespace slab_cache::ngx
