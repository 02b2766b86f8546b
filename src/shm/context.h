// shm/context.h — what the parts behind Store know of this process. Of src/shm alone: nothing above includes it.
#pragma once

#include <cstdint>

#include "shm/geometry.h"
#include "shm/types.h"

namespace slab_cache::shm {

struct ZoneHeader;  // layout.h
struct LocalPins;   // reclaim.h

struct PriorZone {
    char* base = nullptr;
    uint64_t bytes = 0;
    ZoneHeader* zone = nullptr;  // null: none here
    Geometry geo;
};

// What the parts behind Store know of this process: the mapping, who it is, how to tell the dead.
struct Context {
    char* base = nullptr;
    uint64_t bytes = 0;
    ZoneHeader* zone = nullptr;  // for what changes; what does not is in geo
    LocalPins* local = nullptr;  // malloc'ed at join(), freed at leave()
    uint64_t self = 0;           // identity word (worker.h), 0 until it is needed
    uint32_t worker = 0;         // record index + 1, 0 = not joined
    IsAliveFn alive = nullptr;   // null: /proc
    void* alive_context = nullptr;
    bool joined = false;
    bool evicts = true;   // to make room; not while objects come from another zone, worth most first
    uint32_t priors = 0;  // 1 + the highest place in use
    Geometry geo;
    PriorZone prior[5];  // zones that this one succeeds, where their workers may still run (prior.h)
};

}  // namespace slab_cache::shm
