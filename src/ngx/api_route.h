// ngx/api_route.h — which resource of the API a path names, and what may be done with it.
#pragma once

#include "ngx/ngx.h"

#include "ngx/api.h"

namespace slab_cache::ngx {

enum class Resource : uint8_t {
    kNone, kPage, kMetrics, kZones, kZone, kPurge, kEntry, kTop, kFastlyPurge, kFastlyPurgeAll, kCloudflarePurge
};

struct Route {
    Resource resource = Resource::kNone;
    bool has_zone = false;    // the path names one …
    bool any_zone = false;    // … by somebody else's id: where there is one zone only, it is meant
    Bytes zone_name;
    Bytes rest;
};

Route route_of(ngx_http_request_t* r, const LocConf* conf) noexcept;
Zone* zone_of(ngx_http_request_t* r, const Route& route) noexcept;   // nullptr: none of that name

struct Action {
    Resource resource;
    ngx_uint_t methods;     // NGX_HTTP_…
    bool writes;
    bool needs_type;        // a browser's form could send it: its body must say that it is JSON
    Answer answer;
};

// nullptr where the resource does not know the method.
const Action* action_of(ngx_http_request_t* r, Resource resource) noexcept;
Bytes allowed_methods(Resource resource) noexcept;

}  // namespace slab_cache::ngx
