// ngx/api/api_route.h — the routes of the API: which call a request makes.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/api_path.h"
#include "ngx/api/api.h"

namespace slab_cache::ngx {

// What holds for a call beside its row's columns.
inline constexpr uint32_t kReads = 0;
inline constexpr uint32_t kWrites = 1;
inline constexpr uint32_t kTyped = 2;          // a browser's form could send it: its body must say that it is JSON
inline constexpr uint32_t kObjectBody = 4;     // its body may be as long as an object
inline constexpr uint32_t kWithoutRecord = 8;  // also of a zone that this worker cannot look into

struct CallRow {
    Bytes path;             // a pattern (cache/api_path.h)
    ngx_uint_t methods;     // NGX_HTTP_…
    uint32_t traits;        // of the above
    const char* arguments;  // names with spaces between them; nullptr: any
    Answer answer;

    bool has(uint32_t trait) const noexcept { return (traits & trait) != 0; }
};

struct Route {
    const CallRow* first = nullptr;  // of the path; nullptr: there is no such
    const CallRow* call = nullptr;   // of the path and the method
    cache::PathNames names;
};

Route route_of(ngx_http_request_t* r, const LocConf* conf) noexcept;
Zone* zone_of(ngx_http_request_t* r, const Route& route) noexcept;  // nullptr: none of that name

// The methods of a path, for Allow; what paths of our own there are, in words. Cut where they find no room.
Bytes allowed_methods(const Route& route, char* buffer, size_t size) noexcept;
Bytes list_paths(char* buffer, size_t size) noexcept;

}  // namespace slab_cache::ngx
