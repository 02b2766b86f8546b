// http/storable.h — may this response be stored, and which of its fields (RFC 9111 §3, §3.1, §3.5).
//
// Choices     Any final status with explicit freshness, others only under slab_cache_valid or the
//             heuristic; never 1xx, 206, 304. A response stale on arrival is kept when it has a
//             validator or a stale window of its own. A varying Accept-Encoding with a
//             Content-Encoding other than gzip, br, zstd is refused: the normalised key could not
//             tell such variants apart. QUERY and POST need their method in slab_cache_methods; a
//             POST answer that names its own URI in Content-Location also serves later GETs.
#pragma once

#include "http/freshness.h"
#include "http/message.h"
#include "http/policy.h"
#include "http/reason.h"
#include "http/reuse.h"

namespace slab_cache::http {

// The request alone: would its response have a place in the cache at all?
Verdict may_use_cache(const Request& request, const Policy& policy) noexcept;

Verdict storable(const Request& request, const Response& response, const Freshness& freshness,
                 const Policy& policy) noexcept;

// The answer to a POST for `target` may also be stored under the GET of it: a 200 with explicit
// freshness and a Content-Location equal to the target (RFC 9110 §9.3.3). The rest of storable() is
// to be asked too.
bool post_answers_get(const TargetUri& target, const Response& response, const Freshness& freshness) noexcept;

// May this response take the place of what is stored? No for an error (5xx, or a status in
// use_stale) without freshness of its own while the stored object can still be served.
bool may_replace(uint16_t status, const Freshness& freshness, const StoredFacts& stored, const Policy& policy,
                 int64_t now) noexcept;

// Connection, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade, Proxy-Authenticate,
// Proxy-Authentication-Info, Proxy-Authorization.
bool is_hop_by_hop(Bytes name) noexcept;

// Neither hop-by-hop, nor named by `connection`, nor Age (which every hit computes anew).
bool is_storable_field(Bytes name, Bytes connection) noexcept;

// The same against all Connection lines of the response, also leaving out what no-cache="…" lists
// (when Cache-Control counts) and Set-Cookie where it is stripped.
bool is_storable_field(Bytes name, const Fields& response, const Policy& policy) noexcept;

// Does the status code have a meaning we know (for must-understand)?
bool is_known_status(uint16_t status) noexcept;

}  // namespace slab_cache::http
