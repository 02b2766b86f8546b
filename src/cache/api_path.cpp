#include "cache/api_path.h"

namespace slab_cache::cache {
namespace {

Bytes take_segment(Bytes* path) noexcept {
    const size_t slash = path->find('/');
    const Bytes segment = base::slice(*path, 0, slash);
    *path = slash == Bytes::npos ? Bytes{} : base::slice(*path, slash + 1);
    return segment;
}

bool fits_segment(Bytes wanted, Bytes segment, PathNames* names) noexcept {
    names->has_zone = names->has_zone || wanted == "{zone}" || wanted == "{id}";
    if (wanted == "{zone}") {
        names->zone_name = segment;
        return !segment.empty();
    }
    if (wanted == "{id}") {
        names->any_zone = true;
        names->zone_name = segment;
        return true;
    }
    return segment == wanted;
}

}  // namespace

bool fits_pattern(Bytes pattern, Bytes path, PathNames* names) noexcept {
    *names = {};
    while (!path.empty() && path.front() == '/') {
        path.remove_prefix(1);
    }
    while (!pattern.empty()) {
        const Bytes wanted = take_segment(&pattern);
        if (wanted == "{key}") {
            names->rest = path;
            return !path.empty();
        }
        if (!fits_segment(wanted, take_segment(&path), names)) {
            return false;
        }
    }
    return path.empty();
}

}  // namespace slab_cache::cache
