// tests/support/memory.h — an arena whose blocks are exact heap blocks, so that AddressSanitizer sees a byte too far; it can
// run out at the n-th request.
#pragma once

#include <cstdlib>
#include <vector>

#include "base/arena.h"

namespace slab_cache::test {

class Memory {
public:
    explicit Memory(size_t blocks = static_cast<size_t>(-1)) : left_(blocks) {}
    ~Memory() {
        for (void* block : blocks_) {
            std::free(block);
        }
    }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    base::Arena arena() {
        return {this, [](void* self, size_t n) noexcept { return static_cast<Memory*>(self)->take(n); }};
    }

private:
    void* take(size_t n) {
        if (left_ == 0) {
            return nullptr;
        }
        left_--;
        blocks_.push_back(std::malloc(n));
        return blocks_.back();
    }

    size_t left_;
    std::vector<void*> blocks_;
};

}  // namespace slab_cache::test
