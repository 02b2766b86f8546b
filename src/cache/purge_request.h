// cache/purge_request.h — a purge as a request of its own: PURGE <url>, with fields that name tags.
//
// What        Surrogate-Key, Cache-Tag, xkey and xkey-purge name tags; the URL counts where no tags are named. A trailing "/*"
//             means everything below. Fastly-Soft-Purge: 1 or xkey-softpurge make it soft. PURGEKEYS names tags only. What
//             other ecosystems write (cache/purge_dialect.h) is understood or refused.
#pragma once

#include "cache/purge_batch.h"

namespace slab_cache::cache {

inline constexpr size_t kMaxPurgeTags = 1024;

// `configured`: the method that slab_cache_purge names. PURGE also means PURGEKEYS.
bool is_purge_method(Bytes method, Bytes configured) noexcept;

// How the fields of other ecosystems are taken (cache/purge_dialect.h).
struct PurgeRequest {
    Selection* to;
    Bytes method;
    bool has_own_tags;   // the location says where tags come from
    bool is_by_pattern;  // X-Purge-Method: regex
    bool is_everything;  // a BAN of all that there is
    Bytes complaint;     // why it is refused
};

// One field of the request. kRefused has a complaint.
enum class FieldRead : uint8_t { kFine, kTooManyTags, kRefused };
FieldRead read_purge_field(PurgeRequest* p, Bytes name, Bytes value) noexcept;

// After the fields: are there tags, so that the URL plays no part? kNothing: a PURGEKEYS without any.
enum class PurgeNames : uint8_t { kTags, kUrl, kNothing };
PurgeNames purge_names(const PurgeRequest& p) noexcept;

// The request's own URL: host in lower case, canonical URI. `understood` is what it was taken for. False with a complaint.
bool select_own_url(PurgeRequest* p, Bytes host, Bytes uri, Url* understood) noexcept;

}  // namespace slab_cache::cache
