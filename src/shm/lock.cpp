#include "shm/lock.h"

#include <sched.h>
#include <time.h>

#include "shm/counters.h"
#include "shm/repair.h"
#include "shm/worker.h"

namespace slab_cache::shm {
namespace {

constexpr uint32_t kSpinRounds = 12;  // pauses of 1, 2, 4 … 2048: some 50 microseconds
constexpr uint32_t kSleepNs = 50'000;
constexpr uint32_t kSleeps = 400;        // some 40 ms with the spinning between
constexpr uint32_t kSleepsPerLook = 40;  // liveness is a read of /proc: every few milliseconds
constexpr uint32_t kYields = 4;          // a holder that was preempted gets the processor back

void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

LockAnswer entered(RobustLock* lock) noexcept {
    // [lock-dirty] relaxed: ordered by the acquiring CAS of the word
    if (lock->dirty.load_relaxed() != 0) {
        return LockAnswer::kDirty;
    }
    // [lock-dirty] seq_cst: no store of the section may become visible before the mark. On x86 any store keeps
    // this order; the model needs more than release here, and one locked store per section is cheap.
    lock->dirty.store_seq_cst(1);
    return LockAnswer::kClean;
}

bool grab(RobustLock* lock, uint64_t from, uint64_t self) noexcept {
    return lock->owner.cas_acq_rel(from,
                                   self);  // [lock-word] acquires what the last owner released
}

// One look at the owner: takes the lock if it is free or its owner dead.
bool grab_from_dead(Context* c, RobustLock* lock, uint64_t self) noexcept {
    const uint64_t owner = lock->owner.load_acquire();  // [lock-word]
    return (owner == 0 || !is_alive(*c, owner)) && grab(lock, owner, self);
}

bool spin(RobustLock* lock, uint64_t self) noexcept {
    for (uint32_t round = 0; round < kSpinRounds; round++) {
        if (lock->owner.load_relaxed() == 0 && grab(lock, 0, self)) {  // relaxed: the CAS decides
            return true;
        }
        for (uint32_t i = 0; i < (1U << round) / 2 + 1; i++) {
            pause();
        }
    }
    return false;
}

}  // namespace

LockAnswer try_lock(Context* c, RobustLock* lock) noexcept {
    const uint64_t self = self_word(c);
    for (uint32_t i = 0; i < kYields; i++) {
        if (spin(lock, self)) {
            return entered(lock);
        }
        sched_yield();
    }
    return grab_from_dead(c, lock, self) ? entered(lock) : LockAnswer::kBusy;
}

LockAnswer lock_patiently(Context* c, RobustLock* lock) noexcept {
    const uint64_t self = self_word(c);
    for (uint32_t i = 0; i < kSleeps; i++) {
        if (spin(lock, self)) {
            return entered(lock);
        }
        if (i % kSleepsPerLook == 0 && grab_from_dead(c, lock, self)) {
            return entered(lock);
        }
        const timespec nap = {0, kSleepNs};
        nanosleep(&nap, nullptr);
    }
    return LockAnswer::kBusy;
}

void unlock(RobustLock* lock) noexcept {
    lock->dirty.store_release(0);  // [lock-dirty] after every store of the section
    lock->owner.store_release(0);  // [lock-word]
}

ShardLock::ShardLock(Context* c, Shard* shard, Patience patience) noexcept {
    const LockAnswer answer =
        patience == Patience::kStore ? try_lock(c, &shard->lock) : lock_patiently(c, &shard->lock);
    if (answer == LockAnswer::kBusy) {
        count(*c, Counter::kLockBusy);
        return;
    }
    shard_ = shard;
    if (answer == LockAnswer::kDirty || wants_repair_locked(*c, *shard)) {
        repair_locked(c, shard);
    }
}

void ShardLock::release() noexcept {
    if (shard_ != nullptr) {
        unlock(&shard_->lock);
        shard_ = nullptr;
    }
}

}  // namespace slab_cache::shm
