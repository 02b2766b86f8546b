// tests/support/policies.h — the eviction policies there are, by their rows (shm/evict_policy.cpp).
#pragma once

#include <vector>

#include "shm/types.h"

namespace slab_cache::test {

inline std::vector<shm::Eviction> eviction_policies() {
    std::vector<shm::Eviction> all;
    shm::Eviction one;
    for (uint32_t i = 0; shm::parse_eviction(shm::eviction_word(i), &one); i++) {
        all.push_back(one);
    }
    return all;
}

}  // namespace slab_cache::test
