// cache/purge_request.h — a purge as a request of its own: PURGE <url>, with fields that name tags.
//
// What        Surrogate-Key, Cache-Tag, xkey and xkey-purge name tags; the URL counts where no tags are named. A trailing "/*"
//             means everything below. Fastly-Soft-Purge: 1 or xkey-softpurge make it soft. PURGEKEYS names tags only.
#pragma once

#include "cache/selection.h"

namespace slab_cache::cache {

inline constexpr size_t kMaxPurgeTags = 1024;

// `configured`: the method that slab_cache_purge names. PURGE also means PURGEKEYS.
bool is_purge_method(Bytes method, Bytes configured) noexcept;

// One field of the request. False where there are too many tags.
bool read_purge_field(Selection* to, Bytes name, Bytes value) noexcept;

// After the fields: are there tags, so that the URL plays no part? kNothing: a PURGEKEYS without any.
enum class PurgeNames : uint8_t { kTags, kUrl, kNothing };
PurgeNames purge_names(const Selection& s, Bytes method) noexcept;

// The request's own URL: host in lower case, canonical URI.
bool select_own_url(Selection* to, Bytes host, Bytes uri) noexcept;

}  // namespace slab_cache::cache
