// http/escape.h — percent-encoding, and the arguments of a query.
//
// Choices     What begins no escape is read as nginx reads it: a '%' before no hex digit goes, a '%' and one hex digit
//             go with the byte behind them. nginx refuses such paths in requests, so that only what operators name gets here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::http {

using base::Bytes;

// A byte that no client sends bare in a request line: controls, blanks, what is no ASCII.
bool needs_escape(char c) noexcept;

// Encodes those; '%' stays, what is encoded is not encoded again. Needs room for three times the bytes; returns the length.
size_t escape(Bytes from, char* to) noexcept;

// Decodes. Needs room for as many bytes as there are; returns the length.
size_t unescape(Bytes from, char* to) noexcept;

// The first argument of that name (in any case), as it is written; false where there is none.
bool find_argument(Bytes query, Bytes name, Bytes* value) noexcept;
// The same, and leaves what stands behind it in *query.
bool next_argument(Bytes* query, Bytes name, Bytes* value) noexcept;

// The name of the first argument that is not one of `known` (names with spaces between them), or that stands there twice;
// empty where there is none. A name with a '*' behind it may stand there several times.
Bytes unknown_argument(Bytes query, Bytes known) noexcept;

// Digits only, in [low, high]; *value stays otherwise.
bool read_decimal(Bytes text, uint64_t low, uint64_t high, uint64_t* value) noexcept;

// What servers make of a path before they look anything up (RFC 3986 §5.2.4, and several slashes are one): "." and ".."
// segments go. In place; returns the new length, never more. The path starts with '/'.
size_t remove_dot_segments(char* path, size_t size) noexcept;
// False where remove_dot_segments() would change nothing.
bool may_have_dot_segments(Bytes path) noexcept;

}  // namespace slab_cache::http
