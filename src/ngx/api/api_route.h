// ngx/api/api_route.h — which resource of the API a request names (cache/api_path.h), and what may be done with it.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/api_path.h"
#include "ngx/api/api.h"

namespace slab_cache::ngx {

using cache::Resource;
using cache::Route;

Route route_of(ngx_http_request_t* r, const LocConf* conf) noexcept;
Zone* zone_of(ngx_http_request_t* r, const Route& route) noexcept;  // nullptr: none of that name

struct Action {
    Resource resource;
    ngx_uint_t methods;  // NGX_HTTP_…
    bool writes;
    bool needs_type;        // a browser's form could send it: its body must say that it is JSON
    const char* arguments;  // names with spaces between them; nullptr: any
    Answer answer;
};

// nullptr where the resource does not know the method.
const Action* action_of(ngx_http_request_t* r, Resource resource) noexcept;

}  // namespace slab_cache::ngx
