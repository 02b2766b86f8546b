#include "cache/api_path.h"

namespace slab_cache::cache {
namespace {

Bytes take_segment(Bytes* path) noexcept {
    const size_t slash = path->find('/');
    const Bytes segment = base::slice(*path, 0, slash);
    *path = slash == Bytes::npos ? Bytes{} : base::slice(*path, slash + 1);
    return segment;
}

struct Name {
    Bytes name;
    Resource resource;
};

constexpr Name kZoneResources[] = {
    {"purge", Resource::kPurge},
    {"entry", Resource::kEntry},
    {"entries", Resource::kEntries},
    {"top", Resource::kTop},
};

Resource zone_resource(Bytes what) noexcept {
    if (what.empty()) {
        return Resource::kZone;
    }
    for (const Name& row : kZoneResources) {
        if (row.name == what) {
            return row.resource;
        }
    }
    return Resource::kNone;
}

// v1/fleet, v1/tier, v1/zones[/{zone}[/{what}]]
Route own_route(Bytes path) noexcept {
    Route route;
    const Bytes first = take_segment(&path);
    if (first == "fleet" && path.empty()) {
        route.resource = Resource::kFleet;
    }
    if (first == "tier" && path.empty()) {
        route.resource = Resource::kTier;
    }
    if (first != "zones") {
        return route;
    }
    route.zone_name = take_segment(&path);
    if (route.zone_name.empty()) {
        route.resource = path.empty() ? Resource::kZones : Resource::kNone;
        return route;
    }
    route.has_zone = true;
    const Resource resource = zone_resource(take_segment(&path));
    route.resource = path.empty() ? resource : Resource::kNone;
    return route;
}

// service/{id}/purge, service/{id}/purge/{key}, service/{id}/purge_all
Route fastly_route(Bytes path) noexcept {
    Route route;
    route.zone_name = take_segment(&path);
    route.has_zone = route.any_zone = true;
    const Bytes what = take_segment(&path);
    route.rest = path;
    if (what == "purge") {
        route.resource = Resource::kFastlyPurge;
    } else if (what == "purge_all" && path.empty()) {
        route.resource = Resource::kFastlyPurgeAll;
    }
    return route;
}

// client/v4/zones/{id}/purge_cache, client/v4/zones/{id}/invalidate_cache
Route cloudflare_route(Bytes path) noexcept {
    Route route;
    if (take_segment(&path) != "v4" || take_segment(&path) != "zones") {
        return route;
    }
    route.zone_name = take_segment(&path);
    route.has_zone = route.any_zone = true;
    const Bytes what = take_segment(&path);
    if (what == "purge_cache" && path.empty()) {
        route.resource = Resource::kCloudflarePurge;
    } else if (what == "invalidate_cache" && path.empty()) {
        route.resource = Resource::kCloudflareInvalidate;
    }
    return route;
}

}  // namespace

Route route_of(Bytes path) noexcept {
    while (!path.empty() && path.front() == '/') {
        path.remove_prefix(1);
    }
    const Bytes first = take_segment(&path);
    if (first == "v1") {
        return own_route(path);
    }
    if (first == "service") {
        return fastly_route(path);
    }
    if (first == "client") {
        return cloudflare_route(path);
    }
    Route route;
    if (path.empty() && first.empty()) {
        route.resource = Resource::kPage;
    } else if (path.empty() && first == "metrics") {
        route.resource = Resource::kMetrics;
    }
    return route;
}

Bytes allowed_methods(Resource resource) noexcept {
    switch (resource) {
    case Resource::kEntry:
        return "GET, HEAD, PUT, DELETE";
    case Resource::kCloudflarePurge:
        return "POST, DELETE";
    case Resource::kPurge:
    case Resource::kFastlyPurge:
    case Resource::kFastlyPurgeAll:
    case Resource::kCloudflareInvalidate:
        return "POST";
    case Resource::kNone:
    case Resource::kPage:
    case Resource::kMetrics:
    case Resource::kZones:
    case Resource::kZone:
    case Resource::kFleet:
    case Resource::kTier:
    case Resource::kTop:
    case Resource::kEntries:
        break;
    }
    return "GET, HEAD";
}

}  // namespace slab_cache::cache
