// shm/unfinished.h — an object while it is being written.
//
// What        unfinished[] names the unfinished entries of a process, so that they can be taken back when it dies. The
//             chain grows under the shard lock; bytes are copied outside of it.
// Death       a run is in the chain or free; an entry is in unfinished[] or swept. Moving an entry: the copy is whole, then
//             unfinished[] names it, then the first one is freed.
// Threading   the process that began the object; …_locked: under its shard's lock.
// Errors      Status; after an error abort().
#pragma once

#include "shm/entry_runs.h"
#include "shm/layout.h"
#include "shm/context.h"

namespace slab_cache::shm {

inline constexpr uint32_t kNoPlace = 0xffffffffU;

// A free place in this process's unfinished[]; kNoPlace when all are taken.
uint32_t free_place(const Context& c, uint32_t hint) noexcept;

Run first_run_locked(const Context& c, Shard* s, const NewEntry& what, int64_t now_sec) noexcept;
// Run header, entry, selectors, key, and what the first run takes of the head; state kFilling. `checked`: the purge counter it was judged at.
void write_front(const Context& c, Run run, const NewEntry& what, int64_t now_sec, uint64_t checked) noexcept;

// Places as many of these bytes as the last run takes; where it is full, makes room for them and places none. kOk, kNoSpace,
// kBusy, kCorrupt.
Status put_piece(Context* c, Writer* w, Bytes bytes, int64_t now_sec, uint32_t* put) noexcept;

// At the end of a store: hides the entry from its lease, gives back what the last run does not need, and moves a
// small last page into a tail run where nobody reads it yet. May change w->ref.
void trim_locked(const Context& c, Shard* s, Writer* w) noexcept;

// abort(): retires the entry and empties its place. A lock that cannot be had leaves it for retire_orphans().
void give_up_unfinished(Context* c, uint32_t place) noexcept;
void retire_orphans(Context* c) noexcept;

}  // namespace slab_cache::shm
