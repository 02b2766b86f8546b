// shm/offset.h — the only place where an offset becomes a pointer.
//
// What        Region is one process's view of the mapping. Everything that comes out of the zone (refs, offsets,
//             lengths) is input: the try_ forms check it and answer nullptr; the plain forms are for values that
//             this process computed from the immutable header, checked at attach().
#pragma once

#include <cstdint>

#include "base/check.h"
#include "shm/layout.h"

namespace slab_cache::shm {

class Region {
public:
    Region(void* base, uint64_t bytes) noexcept : base_(static_cast<char*>(base)), bytes_(bytes) {}

    // REQUIRES offset was validated.
    template <class T>
    T* at(uint64_t offset) const noexcept {
        SLAB_DCHECK(offset + sizeof(T) <= bytes_);
        return reinterpret_cast<T*>(base_ + offset);
    }

    RunHeader* run(uint32_t ref) const noexcept { return at<RunHeader>(uint64_t{ref} * kRefBytes); }
    Entry* entry(uint32_t ref) const noexcept { return at<Entry>(uint64_t{ref} * kRefBytes + kRunHeaderBytes); }

    char* base() const noexcept { return base_; }
    uint64_t bytes() const noexcept { return bytes_; }

private:
    char* base_;
    uint64_t bytes_;
};

inline EntryState state_of(const Entry& e) noexcept { return static_cast<EntryState>(e.state.load_relaxed()); }

}  // namespace slab_cache::shm
