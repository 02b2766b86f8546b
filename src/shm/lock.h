// shm/lock.h — the writer lock that survives its owner.
//
// What        The word holds the owner's identity, so that a waiter can find it dead and take the lock over.
//             `dirty` tells the next owner that the section before was not left: it repairs first.
// Threading   try_lock() waits microseconds; lock_patiently() sleeps and is for upkeep and purges only.
// Death       between CAS and dirty: nothing was changed. Between dirty and its clearing: repair. After: clean.
#pragma once

#include <cstdint>

#include "shm/layout.h"
#include "shm/context.h"

namespace slab_cache::shm {

enum class LockAnswer : uint8_t {
    kClean,  // held; what it guards is whole
    kDirty,  // held; the last owner died inside: repair before anything else
    kBusy,   // not held
};

// Spins a few times some 50 microseconds, then looks whether the owner lives. kBusy if it does.
LockAnswer try_lock(Context* c, RobustLock* lock) noexcept;
// Goes on with short sleeps while the owner lives, up to some 40 ms: more would stall an event loop.
LockAnswer lock_patiently(Context* c, RobustLock* lock) noexcept;
void unlock(RobustLock* lock) noexcept;

// A held shard lock. The shard has been repaired if it had to be. Move-less: lives on the stack.
class ShardLock {
public:
    enum class Patience : uint8_t { kStore, kUpkeep };
    ShardLock(Context* c, Shard* shard, Patience patience) noexcept;
    ~ShardLock() noexcept { release(); }
    ShardLock(const ShardLock&) = delete;
    ShardLock& operator=(const ShardLock&) = delete;
    explicit operator bool() const noexcept { return shard_ != nullptr; }
    void release() noexcept;

private:
    Shard* shard_ = nullptr;
};

}  // namespace slab_cache::shm
