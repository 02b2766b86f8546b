// ngx/origin.h — a fill's response in the form the rules read.
#pragma once

#include "ngx/ngx.h"

#include "http/freshness.h"
#include "http/message.h"
#include "ngx/fill.h"

namespace slab_cache::ngx {

struct OriginResponse {
    http::Response response;      // raw fields where an upstream sent it
    http::Freshness freshness;
    bool from_upstream;           // the origin's own answer, not nginx's page about its failure
    bool intercepted;             // an error of the origin's, for which nginx has a page: `fields` are the error's
    bool accel_redirect;
    ngx_uint_t origin_status;     // what the origin made of it, whatever error_page shows
};

bool read_origin(Fill* fill, OriginResponse* out) noexcept;
// Is it the 304 that says that what the fill started from is still right?
bool confirms_stored(Fill* fill, const OriginResponse& origin) noexcept;
// Would a stale object that the fill started from be the better answer?
bool stale_instead(Fill* fill, const OriginResponse& origin) noexcept;
// kNone: store it.
http::Reason why_not_stored(Fill* fill, const OriginResponse& origin) noexcept;
// The response as such is the reason, so the next one will likely be refused too.
bool leaves_mark(http::Reason reason) noexcept;

// For a request that goes nginx's ordinary way: what the rules would have said (for $slab_cache_reason, and to notice
// that a key has become cacheable again).
http::Reason judge_pass(ngx_http_request_t* r, const LocConf* conf) noexcept;

}  // namespace slab_cache::ngx
