#include "ngx/ngx.h"

#include "ngx/api_route.h"

#include "ngx/api_clients.h"
#include "ngx/api_entry.h"
#include "ngx/api_metrics.h"
#include "ngx/api_page.h"
#include "ngx/api_purge.h"
#include "ngx/api_push.h"
#include "ngx/api_top.h"
#include "ngx/api_zones.h"
#include "ngx/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_uint_t kRead = NGX_HTTP_GET | NGX_HTTP_HEAD;

constexpr Action kActions[] = {
    {Resource::kPage, kRead, false, false, send_page},
    {Resource::kMetrics, kRead, false, false, send_metrics},
    {Resource::kZones, kRead, false, false, send_zones},
    {Resource::kZone, kRead, false, false, send_zone},
    {Resource::kPurge, NGX_HTTP_POST, true, true, purge_by_json},
    {Resource::kTop, kRead, false, false, send_top},
    {Resource::kEntry, kRead, false, false, explain_entry},
    {Resource::kEntry, NGX_HTTP_PUT, true, false, push_entry},
    {Resource::kEntry, NGX_HTTP_DELETE, true, false, purge_entry},
    {Resource::kFastlyPurge, NGX_HTTP_POST, true, true, purge_as_fastly},
    {Resource::kFastlyPurgeAll, NGX_HTTP_POST, true, true, purge_all_as_fastly},
    {Resource::kCloudflarePurge, NGX_HTTP_POST | NGX_HTTP_DELETE, true, true, purge_as_cloudflare},
};

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

// v1/zones[/{zone}[/{what}]]
Route own_route(Bytes path) noexcept {
    Route route;
    if (take_segment(&path) != "zones") {
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

// client/v4/zones/{id}/purge_cache
Route cloudflare_route(Bytes path) noexcept {
    Route route;
    if (take_segment(&path) != "v4" || take_segment(&path) != "zones") {
        return route;
    }
    route.zone_name = take_segment(&path);
    route.has_zone = route.any_zone = true;
    if (take_segment(&path) == "purge_cache" && path.empty()) {
        route.resource = Resource::kCloudflarePurge;
    }
    return route;
}

// The path behind the location's prefix.
Bytes sub_path(ngx_http_request_t* r, const LocConf* conf) noexcept {
    Bytes path = base::slice(view(r->uri), conf->api_prefix.len);
    while (!path.empty() && path.front() == '/') {
        path.remove_prefix(1);
    }
    return path;
}

}  // namespace

Route route_of(ngx_http_request_t* r, const LocConf* conf) noexcept {
    Bytes path = sub_path(r, conf);
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

Zone* zone_of(ngx_http_request_t* r, const Route& route) noexcept {
    MainConf* mcf = main_conf(r);
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        if (view(zones[i]->name) == route.zone_name) {
            return zones[i];
        }
    }
    return route.any_zone && mcf->zones.nelts == 1 ? zones[0] : nullptr;
}

const Action* action_of(ngx_http_request_t* r, Resource resource) noexcept {
    for (const Action& action : kActions) {
        if (action.resource == resource && (action.methods & r->method) != 0) {
            return &action;
        }
    }
    return nullptr;
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
        return "POST";
    case Resource::kNone:
    case Resource::kPage:
    case Resource::kMetrics:
    case Resource::kZones:
    case Resource::kZone:
    case Resource::kTop:
        break;
    }
    return "GET, HEAD";
}

}  // namespace slab_cache::ngx
