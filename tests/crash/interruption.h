// tests/crash/interruption.h — something else happens before the k-th operation on the zone, in the same process.
//
// Included by one file of a program: it defines slab_crash_point(). Built with -DSLAB_CRASH_POINTS, where "die" means "be
// interrupted".
#pragma once

#include <functional>

namespace slab_cache::test {

inline long g_left = 0;  // operations until the interruption, 0: none is wanted
inline std::function<void()> g_interruption;

}  // namespace slab_cache::test

extern "C" void slab_crash_point() noexcept {
    using namespace slab_cache::test;
    if (g_left > 0 && --g_left == 0) {
        g_interruption();
    }
}
