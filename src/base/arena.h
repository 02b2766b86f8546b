// base/arena.h — memory from whoever calls: a request's pool in nginx, a test's own.
//
// Ownership   what get() returns lives as long as the owner says, and is not given back piece by piece.
// Errors      nullptr when memory ran out, or where the size cannot be said in a size_t.
#pragma once

#include <cstddef>

namespace slab_cache::base {

struct Arena {
    void* owner;
    void* (*take)(void* owner,
                  size_t bytes) noexcept;  // aligned for any type; never asked for 0 bytes

    template <class T = char>
    T* get(size_t count) const noexcept {
        const size_t n = count != 0 ? count : 1;
        return n <= static_cast<size_t>(-1) / sizeof(T) ? static_cast<T*>(take(owner, n * sizeof(T))) : nullptr;
    }
};

}  // namespace slab_cache::base
