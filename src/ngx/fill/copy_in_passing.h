// ngx/fill/copy_in_passing.h — storing an answer while it goes by to its client.
//
// What        The header has been judged; the body's bufs are read, not consumed, before the rest of nginx's chain gets them.
//             The object is published when the last of them has come, before its bytes are sent; whoever waits on the
//             fill's lease looks again then, or when it came to nothing. Nobody reads it while it grows: its pace is
//             its client's.
// Used by     direct_fill.cpp; append_buf() also by post_copy.cpp.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/direct_fill.h"
#include "ngx/fill/origin_response.h"

namespace slab_cache::ngx {

// What is in a buf goes to the object, and stays in the buf, whether it lies in memory or in a file. Not kNone: why not.
http::Reason append_buf(Fetch* fetch, const ngx_buf_t* b) noexcept;

// kNone: the object is begun, and fill->phase is kCopying.
http::Reason begin_copying(DirectFill* fill, const OriginResponse& origin) noexcept;
// The next of the body.
void copy_chain(DirectFill* fill, ngx_chain_t* in) noexcept;
// It comes to nothing; kNone: it was published. Idempotent.
void stop_copying(DirectFill* fill, http::Reason reason) noexcept;

}  // namespace slab_cache::ngx
