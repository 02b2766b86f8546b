// ngx/fill/origin_response.h — a fill's response in the form the rules read.
//
// Threading   one worker's event loop.
// Ownership   fields are views of the upstream's header, or of headers_out: they live as long as the fill's request.
#pragma once

#include "ngx/glue/ngx.h"

#include "http/freshness.h"
#include "http/message.h"
#include "ngx/fill/clone_fill.h"

namespace slab_cache::ngx {

// What is kept of it.
enum class AnswerKind : uint8_t {
    kBody,    // header and body
    kStatus,  // nginx's own page, or the answer of an origin whose status it intercepts: the page is each client's own
    kRedirect,  // X-Accel-Redirect: the way is each client's own
};

struct OriginResponse {
    AnswerKind kind;
    http::Response response;  // raw fields where an upstream sent it
    http::Freshness freshness;
    bool from_upstream;        // the origin's own answer, not nginx's page about its failure
    bool intercepted;          // kStatus: the origin's own status: `fields` are the origin's
    ngx_uint_t origin_status;  // what the origin made of it, whatever error_page shows
};

// It ends with its header (RFC 9110 §15.3.5), whatever length that names.
inline bool has_no_body(ngx_uint_t status) noexcept { return status == NGX_HTTP_NO_CONTENT; }

// The answer sends the request elsewhere, and nginx obeys.
bool is_redirecting(const ngx_http_request_t* r) noexcept;
// It did, and there is no such place: what comes is nginx's page about that. Each client's own request goes the same way.
bool is_redirect_lost(const ngx_http_request_t* r) noexcept;
// The fill's request as the rules read it. The fill outlives it.
http::Request asked_facts(const Fill* fill) noexcept;
bool read_origin(Fill* fill, OriginResponse* out) noexcept;
// The same of an answer that redirects; false where it was no origin that did.
bool read_redirect(Fill* fill, OriginResponse* out) noexcept;
// Is it the 304 that says that what the fill started from is still right?
bool confirms_stored(const CloneFill* fill, const OriginResponse& origin) noexcept;
// Would a stale object that the fill started from be the better answer?
bool stale_instead(const CloneFill* fill, const OriginResponse& origin) noexcept;
// kNone: store it. `stale`: what the fill started from, or empty.
http::Reason why_not_stored(Fill* fill, const OriginResponse& origin, const shm::Pin& stale) noexcept;

// Of a request that goes nginx's ordinary way, and was sent to the origin at `asked_sec`.
bool read_passing(ngx_http_request_t* r, const LocConf* conf, int64_t asked_sec, OriginResponse* out) noexcept;
// For such a one: what the rules would have said (for $slab_cache_reason, and to notice
// that a key has become cacheable again).
http::Reason judge_pass(ngx_http_request_t* r, const LocConf* conf) noexcept;

}  // namespace slab_cache::ngx
