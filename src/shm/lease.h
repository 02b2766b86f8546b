// shm/lease.h — one fill per key: cells that say who asks the origin, how far it is, and who waits for it.
//
// What        word = gen:32 | state:8 | owner record:8 | detail:16, changed by CAS only. A cell is taken under its
//             set's claim word, so that two processes never take two cells for one key.
// Waking      a watcher sets its bit, then reads the word; an owner changes the word (or the entry), then takes the
//             bits. All four are seq_cst: either the owner sees the bit or the watcher sees the change.
// Growing     the ref of what grows carries its tenancy's gen: an owner that was overtaken can neither put its entry into
//             the next one's cell nor take that one's out.
// Death       the claim word and the cell both carry their owner; reap() marks the cells of the dead abandoned. An
//             owner without progress may be overtaken: its later calls find another gen and do nothing.
// Invariants  W1  At most one active cell per tag, apart from a set whose claim was overtaken.       [unit/lease]
//             W2  A finished or dead tenancy is seen as such by every watch after it.                [model/lease]
//             W3  What is pinned through a ticket is the entry of that tenancy.     [model/lease, crash/overtake]
// Threading   anybody. No lock: the claim word is held for a few stores, and what waits for it gives up after a while.
// Errors      acquire_lease(): kUnavailable where all cells of the set are taken or the claim was not to be had. Calls with the
//             ticket of an ended tenancy do nothing.
// Cost        a set is eight lines. watch and progress: a few words of one cell; /proc is read where an owner is silent.
#pragma once

#include <cstdint>

#include "shm/layout.h"
#include "shm/context.h"

namespace slab_cache::shm {

// The set's lines on their way from memory: eight of them, each a miss for a key not asked for lately.
void prefetch_lease(const Context& c, const Digest& digest) noexcept;
LeaseAnswer acquire_lease(Context* c, const Digest& digest, uint64_t now_ms, uint32_t silence_ms,
                          Ticket* ticket) noexcept;
void progress_lease(const Context& c, const Ticket& ticket, uint64_t now_ms, WakeSet* wake) noexcept;
void attach_lease(const Context& c, const Ticket& ticket, uint32_t ref, WakeSet* wake) noexcept;
void release_lease(const Context& c, const Ticket& ticket, LeaseState outcome, uint32_t detail, WakeSet* wake) noexcept;
LeaseView watch_lease(const Context& c, const Ticket& ticket, uint64_t now_ms, uint32_t silence_ms) noexcept;

// Pins what the cell of a streaming tenancy holds. kMiss: over. kBusy: no slot, or just being published.
Status pin_lease(const Context& c, const Ticket& ticket, uint64_t now_ms, Pin* pin) noexcept;

// Takes the growing entry out of sight of new readers, so that it may be moved or retired.
void hide_growing(const Context& c, const Digest& digest, uint32_t ref) noexcept;

// Marks the active cells of a record as abandoned. `wake` (may be null): who waits for them.
void abandon_leases(Context* c, uint32_t worker_index, WakeSet* wake) noexcept;
// Forgets everything. REQUIRES nobody else uses the zone.
void clear_leases(const Context& c) noexcept;

}  // namespace slab_cache::shm
