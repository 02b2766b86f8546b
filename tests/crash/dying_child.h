// tests/crash/dying_child.h — a child that kills itself before its k-th operation on the zone, and what runs it for each k.
//
// Included by one file of a program: it defines slab_crash_point(). Built with -DSLAB_CRASH_POINTS.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

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

// Nothing can be said of a deed that cannot be prepared.
[[noreturn]] inline void give_up(const char* name) {
    std::printf("FAILED  %s: cannot be prepared\n", name);
    std::exit(1);
}

// Kills the deed before each of its operations. `once(k, &done)` prepares it, lets a child do it, and asks the witness: empty, or
// what is wrong. A deed that must fail is one in which the witness has to find something. 0: as it should be.
template <typename Once>
int at_each_point(const char* name, const Once& once, bool must_fail = false) {
    long k = 1;
    long wrong = 0;
    for (bool done = false; !done; k++) {
        const std::string e = once(k, &done);
        if (!e.empty() && !must_fail) {
            std::printf("FAILED  %s: killed before operation %ld: %s\n", name, k, e.c_str());
            return 1;
        }
        wrong += e.empty() ? 0 : 1;
    }
    if (must_fail && wrong == 0) {
        std::printf("FAILED  %s: the witness found nothing\n", name);
        return 1;
    }
    std::printf("ok      %s: %ld points%s\n", name, k - 2, must_fail ? ", found" : "");
    return 0;
}

// Runs all deeds, or those of the name in argv[1]. The program's exit code.
template <typename Deeds, typename Run>
int run_deeds(const Deeds& deeds, const Run& run, int argc, char** argv) {
    int failed = 0;
    int ran = 0;
    for (const auto& deed : deeds) {
        if (argc < 2 || std::string(argv[1]) == deed.name) {
            failed += run(deed);
            ran++;
        }
    }
    std::printf("%d passed, %d failed\n", ran - failed, failed);
    return failed == 0 && ran > 0 ? 0 : 1;
}

}  // namespace slab_cache::test
