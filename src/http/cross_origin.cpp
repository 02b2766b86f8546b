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
    return at == Bytes::npos || host.empty() ||
           !base::equal_nocase(base::slice(origin, at + 3), host);
}

bool is_form_type(Bytes content_type) noexcept {
    const Bytes type = base::slice(content_type, 0, content_type.find_first_of("; \t"));
    return base::equal_nocase(type, "text/plain") ||
           base::equal_nocase(type, "multipart/form-data") ||
           base::equal_nocase(type, "application/x-www-form-urlencoded");
}

}  // namespace slab_cache::http
