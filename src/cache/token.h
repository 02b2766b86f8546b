// cache/token.h — signed requests: an application elsewhere may purge without an open network.
//
// What        "SlabCache <expiry>:<hex>", where hex is HMAC-SHA256 under the shared secret of
//                 method LF target LF expiry LF hex(SHA-256(body)) fields
//             in lower case; expiry in decimal seconds since 1970, the target as the request line has it, query and all.
//             fields: LF name ":" value for each that says what is to be done (ngx/api/signed_request.cpp); usually there is none.
// Safety      the comparison takes the same time whatever differs. A token can be replayed until it expires, at most
//             kTokenLifeSec from now, for the very same request: purges may be repeated without harm, and so may pushes that
//             If-Purge-Seq fences against the purge that came with newer data.
// Threading   pure functions of their arguments.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::cache {

using base::Bytes;

inline constexpr int64_t kTokenLifeSec = 3600;
inline constexpr size_t kMinSecretBytes = 16;
inline constexpr size_t kMacHexBytes = 64;

enum class TokenVerdict : uint8_t { kGood, kMalformed, kExpired, kTooFar, kWrong };

struct SignedRequest {
    Bytes method;
    Bytes target;
    Bytes body;
    Bytes fields = {};
};

// Does an Authorization value claim to be a token?
bool is_token(Bytes authorization) noexcept;

TokenVerdict check_token(Bytes authorization, Bytes secret, const SignedRequest& request, int64_t now_sec) noexcept;

// The hex part. False when memory ran out.
bool sign_request(Bytes secret, const SignedRequest& request, Bytes expiry, char (&hex)[kMacHexBytes]) noexcept;

}  // namespace slab_cache::cache
