// cache/api_path.h — does a path of the admin API fit a row of the routes?
//
// Patterns    segments, as docs/openapi.json has them: a word stands for itself; {zone} for a name that is not empty; {id} for
//             somebody else's id of a zone, which may be any; {key} at the end for all the rest, slashes and all.
// Ownership   names point into the path.
// Choices     one trailing '/' is allowed everywhere; what goes on behind a pattern does not fit.
#pragma once

#include "base/bytes.h"

namespace slab_cache::cache {

using base::Bytes;

struct PathNames {
    bool has_zone = false;  // the path names one …
    bool any_zone = false;  // … by somebody else's id: where there is one zone only, it is meant
    Bytes zone_name;
    Bytes rest;  // what {key} stands for
};

// `path`: decoded, behind the location's prefix.
bool fits_pattern(Bytes pattern, Bytes path, PathNames* names) noexcept;

}  // namespace slab_cache::cache
