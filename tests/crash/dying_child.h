// tests/crash/dying_child.h — a child that kills itself before its k-th operation on the zone.
//
// Included by one file of a program: it defines slab_crash_point(). Built with -DSLAB_CRASH_POINTS.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "shm/worker.h"

namespace slab_cache::test {

// 0: not counting. Otherwise the number of operations still to be done before death.
inline long g_left = 0;

}  // namespace slab_cache::test

extern "C" void slab_crash_point() noexcept {
    using slab_cache::test::g_left;
    if (g_left > 0 && --g_left == 0) {
        kill(getpid(), SIGKILL);
    }
}

namespace slab_cache::test {

inline shm::WorkerId me() {
    shm::WorkerId id;
    id.pid = static_cast<uint32_t>(getpid());
    return shm::read_start_time(id.pid, &id.start_time) ? id : shm::WorkerId{};
}

// Forks a child that joins, then does the deed and dies at its k-th operation. True when the deed was done before. A child that
// cannot join tries nothing: the program ends.
template <typename Join, typename Deed>
bool outlives(long k, const Join& join, const Deed& deed) {
    constexpr int kCannotJoin = 9;
    const pid_t pid = fork();
    if (pid == 0) {
        if (!join()) {
            _exit(kCannotJoin);
        }
        g_left = k;
        deed();
        g_left = 0;
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        std::fprintf(stderr, "the child ended with %d: it could not join\n", WEXITSTATUS(status));
        std::exit(1);
    }
    return WIFEXITED(status);
}

}  // namespace slab_cache::test
