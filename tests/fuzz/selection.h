// tests/fuzz/selection.h — what holds of every selection, whatever was selected.
#pragma once

#include "cache/globs.h"
#include "fuzz/fuzz.h"
#include "support/selection.h"

namespace slab_cache::test {

inline void check_selection(const cache::Selection& s) {
    http::check(s.count <= s.capacity && s.glob_count <= cache::kMaxGlobs && s.glob_count <= s.count);
    http::check(s.accepted <= s.count + (s.all ? 1u : 0u) && s.accepted * 2 >= s.count);
    for (uint32_t i = 0; i < s.count; i++) {
        http::check(s.selector[i] != 0);
    }
    for (uint32_t i = 0; i < s.glob_count; i++) {
        const cache::Glob glob{s.glob[i].host, s.glob[i].pattern, s.soft};
        http::check(cache::fits_rule(glob) && (cache::is_of_tags(glob.host) || cache::is_glob(glob.pattern)));
    }
}

}  // namespace slab_cache::test
