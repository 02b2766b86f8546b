// base/atom.h — the one atomic type of the shared zone.
//
// Atom<T> is std::atomic<T> with every order spelled out by the method's name, so that a reader of the
// code sees the order and a test can put a SIGKILL (or a scheduler) before every single operation.
//
// Crash points  compiled with -DSLAB_CRASH_POINTS, each operation and each copy_in() first calls
//               slab_crash_point(), which the test defines; in production there is no such call.
// Layout        same size and alignment as T; usable in memory that is mapped by several processes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(SLAB_CRASH_POINTS)
extern "C" void slab_crash_point() noexcept;
#endif

namespace slab_cache::base {

inline void crash_point() noexcept {
#if defined(SLAB_CRASH_POINTS)
    slab_crash_point();
#endif
}

template <class T>
class Atom {
    static_assert(std::is_integral_v<T>, "fixed-width integers only: the zone outlives this build");
    static_assert(std::atomic<T>::is_always_lock_free, "a lock inside the atomic could die with its owner");

public:
    T load_relaxed() const noexcept { return crash_point(), v_.load(std::memory_order_relaxed); }
    T load_acquire() const noexcept { return crash_point(), v_.load(std::memory_order_acquire); }
    T load_seq_cst() const noexcept { return crash_point(), v_.load(std::memory_order_seq_cst); }

    void store_relaxed(T x) noexcept { crash_point(), v_.store(x, std::memory_order_relaxed); }
    void store_release(T x) noexcept { crash_point(), v_.store(x, std::memory_order_release); }
    void store_seq_cst(T x) noexcept { crash_point(), v_.store(x, std::memory_order_seq_cst); }

    T exchange_seq_cst(T x) noexcept { return crash_point(), v_.exchange(x, std::memory_order_seq_cst); }

    // Strong compare-and-swap; on failure `expected` receives the value seen (acquire).
    bool cas_acq_rel(T& expected, T desired) noexcept {
        crash_point();
        return v_.compare_exchange_strong(expected, desired, std::memory_order_acq_rel, std::memory_order_acquire);
    }
    bool cas_seq_cst(T& expected, T desired) noexcept {
        crash_point();
        return v_.compare_exchange_strong(expected, desired, std::memory_order_seq_cst, std::memory_order_seq_cst);
    }

    T add_relaxed(T x) noexcept { return crash_point(), v_.fetch_add(x, std::memory_order_relaxed); }
    T add_seq_cst(T x) noexcept { return crash_point(), v_.fetch_add(x, std::memory_order_seq_cst); }
    T or_seq_cst(T x) noexcept { return crash_point(), v_.fetch_or(x, std::memory_order_seq_cst); }

private:
    std::atomic<T> v_;
};

static_assert(sizeof(Atom<uint64_t>) == 8 && alignof(Atom<uint64_t>) == 8);
static_assert(sizeof(Atom<uint32_t>) == 4 && alignof(Atom<uint32_t>) == 4);
static_assert(std::is_standard_layout_v<Atom<uint64_t>> && std::is_trivially_destructible_v<Atom<uint64_t>>);

// Copies private bytes into the zone. The only way bytes get there, so that a test can die half-way. `from` may be
// null where there is nothing to copy.
inline void copy_in(void* to, const void* from, size_t n) noexcept {
#if defined(SLAB_CRASH_POINTS)
    if (n == 0) {
        return;
    }
    const size_t half = n / 2;
    crash_point();
    std::memcpy(to, from, half);
    crash_point();
    std::memcpy(static_cast<char*>(to) + half, static_cast<const char*>(from) + half, n - half);
    crash_point();
#else
    if (n != 0) {
        std::memcpy(to, from, n);
    }
#endif
}

}  // namespace slab_cache::base
