#include "http/cross_origin.h"

namespace slab_cache::http {

bool is_foreign(Bytes fetch_site, Bytes origin, Bytes host) noexcept {
    if (!fetch_site.empty() && fetch_site != "same-origin" && fetch_site != "none") {
        return true;
    }
    if (origin.empty()) {
        return false;
    }
    const size_t at = origin.find("://");
    return at == Bytes::npos || host.empty() || !base::equal_nocase(base::slice(origin, at + 3), host);
}

namespace {

Bytes media_type(Bytes content_type) noexcept {
    return base::slice(content_type, 0, content_type.find_first_of("; \t"));
}

}  // namespace

bool is_form_type(Bytes content_type) noexcept {
    const Bytes type = media_type(content_type);
    return base::equal_nocase(type, "text/plain") || base::equal_nocase(type, "multipart/form-data") ||
           is_urlencoded(content_type);
}

bool is_urlencoded(Bytes content_type) noexcept {
    return base::equal_nocase(media_type(content_type), "application/x-www-form-urlencoded");
}

bool may_be_a_page(const Fields& request) noexcept {
    constexpr Bytes kBrowser = "Mozilla/";
    constexpr Bytes kFetch = "Sec-Fetch-";
    for (const Field& f : request) {
        if (base::equal_nocase(f.name, "Origin") || base::equal_nocase(f.name, "Referer") ||
            base::equal_nocase(f.name, "Cookie") || base::equal_nocase(base::slice(f.name, 0, kFetch.size()), kFetch) ||
            (base::equal_nocase(f.name, "User-Agent") && base::starts_with(f.value, kBrowser))) {
            return true;
        }
    }
    return false;
}

}  // namespace slab_cache::http
