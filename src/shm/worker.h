// shm/worker.h — who is who: identities, records, and telling the dead.
//
// What        A process claims a record by one CAS of (pid, start time) into `owner`. The same word is its
//             identity in every lock. A dead tenant's record is taken by CAS to (reaping | reaper's identity),
//             cleaned, and freed by CAS to 0: a reaper that dies is itself found dead in that word.
// Layout      | reaping:1 | pid:22 | start time:41 |    start time 0: could not be asked, the pid alone counts
// Doubt       only certain knowledge makes anybody dead: no such process, a zombie, another start time. A process
//             that cannot be looked at (no file descriptor, no right, no /proc) is alive.
// Death       at any store: the record is either owned by a dead identity or in reaping by a dead identity;
//             both are taken over, all cleaning steps are idempotent.
// Threading   anybody; records change hands by CAS alone.
// Errors      claim_record(): kBusy. What cannot be asked counts as alive (Doubt).
// Cost        read_start_time() and is_alive() read /proc: never on a hit.
#pragma once

#include <cstdint>

#include "shm/layout.h"
#include "shm/context.h"

namespace slab_cache::shm {

inline constexpr uint64_t kReapingBit = uint64_t{1} << 63;

constexpr uint64_t identity_word(const WorkerId& id) noexcept {
    return (uint64_t{id.pid & 0x3fffffU} << 41) | (id.start_time & ((uint64_t{1} << 41) - 1));
}
constexpr WorkerId identity_of(uint64_t word) noexcept {
    return {static_cast<uint32_t>((word >> 41) & 0x3fffffU), word & ((uint64_t{1} << 41) - 1)};
}

enum class Life : uint8_t {
    kAlive,    // and its start time is known
    kDead,     // no such process, or a zombie
    kUnknown,  // could not be asked
};
// Field 22 of /proc/<pid>/stat.
Life look_at_process(uint32_t pid, uint64_t* start_time) noexcept;
// True when it is alive and its start time known.
bool read_start_time(uint32_t pid, uint64_t* start_time) noexcept;

// Of a lock's or record's owner word, reaping bit ignored. A word of 0 is not alive.
bool is_alive(const Context& c, uint64_t owner_word) noexcept;
// The cheap half of that, one system call without a file: true says that the process is no more, false says little.
bool is_gone(const Context& c, uint64_t owner_word) noexcept;

// This process's identity; reads /proc once where join() has not given one.
uint64_t self_word(Context* c) noexcept;

// Claims a free record. kBusy: none.
Status claim_record(Context* c, const WorkerId& self) noexcept;

// Takes the records of the dead and gives back what they held, and finishes the purge one died in. Bounded by the
// table's size. `wake` (may be null): who waits for leases of the dead.
void reap_dead(Context* c, WakeSet* wake) noexcept;

}  // namespace slab_cache::shm
