// ngx/zone/user_area.h — what this layer keeps in the zone beside objects (shm::Store::user_area()).
//
// Layout      of kUserAreaBytes, the cells of the URL filter behind them, and of a zone with fleet= the fleet's area at the end. Zeroed when the zone is formatted. `version` tells builds apart where a zone outlives them (file=): an area of
//             another version is not used.
#pragma once

#include "ngx/glue/ngx.h"

#include <cstddef>

#include "base/atom.h"
#include "cache/fleet_area.h"
#include "cache/globs.h"
#include "cache/history.h"
#include "cache/purge_log.h"
#include "cache/push_times.h"
#include "cache/sketch.h"
#include "cache/url_filter.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {

inline constexpr uint32_t kUserAreaVersion = 7;
inline constexpr uint32_t kUserAreaBytes = 256 * 1024;

struct UserArea {
    base::Atom<uint32_t> version;   // 0: fresh
    base::Atom<uint32_t> fleet_at;  // where the fleet's area lies, from here; 0: there is none
    base::Atom<uint64_t>
        prior_globs[shm::Store::kPriors];  // the newest pattern of each prior zone that counts here too
    cache::UrlFilterHead listed;           // its cells are behind this struct (listing.h)
    cache::GlobTable globs;                // purges by pattern, and by several tags
    cache::Sketch served;                  // routes by origin time saved (sampled)
    cache::Sketch lost;                    // routes by origin time spent, with the last reason
    cache::PushTimes pushed;
    cache::PurgeLog purges;
    cache::History past;  // zeroes, where a build of the same version wrote none
};
static_assert(std::is_standard_layout_v<UserArea> && offsetof(UserArea, globs) == 64);
static_assert(sizeof(UserArea) <= kUserAreaBytes);

// nullptr where it was written by another version.
inline UserArea* user_area(Zone* zone) noexcept {
    auto* area = static_cast<UserArea*>(zone->store.user_area());
    if (area == nullptr || zone->config.user_bytes < sizeof(UserArea)) {
        return nullptr;
    }
    uint32_t seen = area->version.load_acquire();                          // [user-area]
    if (seen == 0 && area->version.cas_acq_rel(seen, kUserAreaVersion)) {  // [user-area] zeroes are an empty area
        return area;
    }
    return seen == kUserAreaVersion ? area : nullptr;
}

// The fleet's area of a zone of `bytes` that this process has no configuration of.
inline cache::FleetArea* fleet_in(UserArea* area, uint64_t bytes) noexcept {
    const uint64_t at = area != nullptr ? area->fleet_at.load_relaxed() : 0;
    const bool fits = at >= sizeof(UserArea) && at % 64 == 0 && bytes > sizeof(cache::FleetArea) &&
                      at < bytes - sizeof(cache::FleetArea);
    return fits ? cache::fleet_area(reinterpret_cast<char*>(area) + at) : nullptr;
}

inline uint32_t fleet_bytes(const Zone& zone) noexcept {
    return zone.fleet_name.len != 0 ? static_cast<uint32_t>(sizeof(cache::FleetArea)) : 0;
}

// What the zone knows of its fleet; nullptr where it has none, or another version wrote it.
inline cache::FleetArea* fleet_of(Zone* zone) noexcept {
    UserArea* area = fleet_bytes(*zone) != 0 ? user_area(zone) : nullptr;
    if (area == nullptr) {
        return nullptr;
    }
    const uint32_t at = zone->config.user_bytes - fleet_bytes(*zone);
    area->fleet_at.store_relaxed(at);  // for a zone that takes this one's place
    return cache::fleet_area(reinterpret_cast<char*>(area) + at);
}

}  // namespace slab_cache::ngx
