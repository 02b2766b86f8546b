// tests/support/selection.h — a selection to select into, with memory that may run out.
#pragma once

#include "cache/purge_batch.h"
#include "support/memory.h"

namespace slab_cache::test {

inline constexpr uint8_t kSelectionSecret[cache::kSecretBytes] = {1, 2, 3};

inline cache::Selection selection_in(Memory* memory, cache::Asker asker = {false, "asker:8080"}) {
    cache::Selection s{};
    s.arena = memory->arena();
    s.secret = kSelectionSecret;
    s.asker = asker;
    return s;
}

inline bool has(const cache::Selection& s, uint64_t selector) {
    for (uint32_t i = 0; i < s.count; i++) {
        if (s.selector[i] == selector) {
            return true;
        }
    }
    return false;
}

}  // namespace slab_cache::test
