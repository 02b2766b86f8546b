#include "cache/purge_request.h"

#include "http/tags.h"

namespace slab_cache::cache {
namespace {

constexpr Bytes kPurgeKeys = "PURGEKEYS";  // FOSHttpCache with Varnish's xkey

}  // namespace

bool is_purge_method(Bytes method, Bytes configured) noexcept {
    return method == configured || (method == kPurgeKeys && configured == "PURGE");
}

bool read_purge_field(Selection* to, Bytes name, Bytes value) noexcept {
    const bool soft_keys = base::equal_nocase(name, "xkey-softpurge");
    to->soft =
        to->soft || soft_keys || (base::equal_nocase(name, "Fastly-Soft-Purge") && value == "1");
    if (!soft_keys && !base::equal_nocase(name, "xkey-purge") && !http::is_tag_field(name)) {
        return true;
    }
    http::TagReader reader(value);
    Bytes tag;
    while (reader.next(&tag)) {
        if (!select_tag(to, tag)) {
            return false;
        }
    }
    return true;
}

PurgeNames purge_names(const Selection& s, Bytes method) noexcept {
    if (!is_empty(s)) {
        return PurgeNames::kTags;
    }
    return method == kPurgeKeys ? PurgeNames::kNothing : PurgeNames::kUrl;
}

bool select_own_url(Selection* to, Bytes host, Bytes uri) noexcept {
    Url url;
    return split_url(to->arena, host, uri, &url) && select_request_url(to, url);
}

}  // namespace slab_cache::cache
