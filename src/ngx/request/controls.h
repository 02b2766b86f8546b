// ngx/request/controls.h — X-Accel-Limit-Rate and X-Accel-Charset: what an origin tells nginx to do with each client's answer.
//
// What        nginx does it when it reads the answer, and hides the fields. Here the answer goes to others too: the words are
//             kept in the object under names that no field can have, and done for each client that gets it.
// Tags        of an answer that goes to a tier are kept the same way: values there name them, and in the zone they are hashes.
// Not kept    where proxy_ignore_headers or slab_cache_ignore_headers names the field. X-Accel-Buffering asks for what is
//             so anyway: what comes is sent on as it comes.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

inline constexpr size_t kMostControls = 2;
inline constexpr Bytes kKeptTags = ":tags";

struct Control {
    Bytes field;
    Bytes kept;
    ngx_uint_t ignored_by_nginx;  // bit of ngx_http_upstream_conf_t::ignore_headers
    uint32_t ignored_by_us;
    bool (*obey)(ngx_http_request_t* r, Bytes value) noexcept;
};
extern const Control kControls[kMostControls];

// Of a stored answer whose header has just been put in (cache::kControlsFlag): does what they say, and hides them.
// False when memory ran out.
bool obey_kept_controls(ngx_http_request_t* r) noexcept;
// X-Accel-Limit-Rate, X-Accel-Charset. The value of a charset outlives the request.
void set_rate(ngx_http_request_t* r, Bytes value) noexcept;
bool set_charset(ngx_http_request_t* r, Bytes value) noexcept;

}  // namespace slab_cache::ngx
