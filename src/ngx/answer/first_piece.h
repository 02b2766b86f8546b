// ngx/answer/first_piece.h — the first buf of a body, where a filter looks at it to learn what the body is.
//
// What        image_filter holds the header back and tests the first buf alone: with fewer than 16 bytes in it the answer is a
//             415. nginx's upstream gives it a buffer that is full, or all there is. Here a body may lie in the zone with its
//             first bytes at the end of a run, and a fill sends on what came as it comes.
// Cost        a branch where no filter holds the header; a copy of up to kFirstPiece bytes where one does.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

inline constexpr size_t kFirstPiece = 1024;

// The header went through all filters, and one of them keeps it until it has seen the body's beginning.
inline bool is_header_held(const ngx_http_request_t* r) noexcept { return !r->header_sent; }

// The chain with kFirstPiece bytes, or all that it has, in its first buf. REQUIRES bufs in memory, none of them empty.
// nullptr when memory ran out.
ngx_chain_t* join_first_piece(ngx_http_request_t* r, ngx_chain_t* in) noexcept;

}  // namespace slab_cache::ngx
