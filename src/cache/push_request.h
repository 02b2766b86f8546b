// cache/push_request.h — what a request that pushes a response (PUT …/entry) says about that response.
#pragma once

#include <cstdint>

#include "http/fields.h"

namespace slab_cache::http {

inline constexpr uint64_t kMaxPushedTtl = 10ull * 365 * 86400;

// The response's field that a request's field is to become: some as they are, any other behind X-Response-. Empty: none.
Bytes pushed_name(Bytes name) noexcept;

// ?status= and ?ttl=, percent-decoded. False for nonsense.
bool read_pushed_status(Bytes text, uint16_t* status) noexcept;
bool read_pushed_ttl(Bytes text, int64_t* ttl_sec) noexcept;

// If-Purge-Seq. False for what is no number.
bool read_fence(Bytes text, uint64_t* seq) noexcept;

}  // namespace slab_cache::http
