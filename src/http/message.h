// http/message.h — what the rules need to know of a request and a response.
//
// Ownership   views; the caller keeps fields and bytes alive.
// Units       whole seconds of wall-clock time. request_time and response_time are when the request
//             was sent to the origin and when its header was complete.
#pragma once

#include <cstdint>

#include "http/fields.h"
#include "http/method.h"
#include "http/range.h"

namespace slab_cache::http {

// The target URI, normalised as the adapter knows it: scheme and host in lower case, default port
// left out.
struct TargetUri {
    Bytes scheme;     // "http", "https"
    Bytes authority;  // host[:port]
    Bytes path;       // path and query, begins with "/"
};

// The flags are facts that the adapter has anyway, so that a hit need not search the fields.
struct Request {
    Method method = Method::kGet;
    bool has_authorization = false;
    bool has_body = false;
    bool is_head_apart = false;  // a HEAD whose answer is kept for other HEADs
    bool wants_websocket = false;
    const ByteRange* slice = nullptr;  // the part that the origin is asked for, and that is kept as such
};

// fields: the origin's, raw, X-Accel-* and Date included.
struct Response {
    uint16_t status = 0;
    Fields fields;
    int64_t request_time = 0;
    int64_t response_time = 0;
};

}  // namespace slab_cache::http
