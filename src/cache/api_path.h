// cache/api_path.h — which resource of the admin API a path names.
//
// Ownership   names point into the path.
// Choices     one trailing '/' is allowed everywhere; what goes on behind a resource names none.
#pragma once

#include "base/bytes.h"

namespace slab_cache::cache {

using base::Bytes;

enum class Resource : uint8_t {
    kNone,
    kPage,
    kMetrics,
    kZones,
    kZone,
    kFleet,
    kTier,
    kPurge,
    kEntry,
    kEntries,
    kTop,
    kFastlyPurge,
    kFastlyPurgeAll,
    kCloudflarePurge,
    kCloudflareInvalidate
};

struct Route {
    Resource resource = Resource::kNone;
    bool has_zone = false;  // the path names one …
    bool any_zone = false;  // … by somebody else's id: where there is one zone only, it is meant
    Bytes zone_name;
    Bytes rest;  // behind the resource's name: Fastly's key
};

// `path`: decoded, behind the location's prefix.
Route route_of(Bytes path) noexcept;

Bytes allowed_methods(Resource resource) noexcept;  // for Allow

}  // namespace slab_cache::cache
