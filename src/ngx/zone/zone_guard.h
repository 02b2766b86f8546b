// ngx/zone/zone_guard.h — what happens when a zone's file loses its pages while it is mapped.
//
// What        Somebody cuts the file short, or a huge page cannot be had: the kernel sends SIGBUS to who touches what is gone. Then
//             this process gives the zone up: empty memory of its own takes the mapping's place, so that what was under way ends as
//             with nonsense, and the zone is out of use until the next reload. Each process finds out by itself; one that looks
//             (is_cut_short, once a second) need not fault.
// Promise     no byte that is not the origin's reaches a client: who is served from a zone at that moment is hung up on first. Which
//             clients these are is not known here, so all HTTP clients of the worker are, where it holds any pin.
// Threading   guard() and unguard() between two events; the handler at any touch of a guarded mapping, in the same thread.
// State       the list of mappings and the handler before ours are the process's: a signal has no other way to them.
#pragma once

#include "ngx/glue/ngx.h"

#include "shm/store.h"

namespace slab_cache::ngx {

struct Mapping {
    char* addr;  // nullptr: not guarded
    size_t bytes;
    shm::Store* store;  // nullptr: a zone before this one (succession.h)
    Mapping* next;
    volatile sig_atomic_t lost;  // its memory is our own by now
};

void guard(Mapping* m, void* addr, size_t bytes, shm::Store* store) noexcept;
void unguard(Mapping* m) noexcept;  // before it is unmapped; idempotent

// The file is shorter than its mapping.
bool is_cut_short(int fd, size_t bytes) noexcept;
// As the signal does.
void give_up(Mapping* m) noexcept;

}  // namespace slab_cache::ngx
