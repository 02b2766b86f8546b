// tests/stress/pin_torture.cpp — can an entry be reused under a reader's eyes?
//
// Real processes at one zone: readers pin and look hard at what they pinned, a writer removes and stores so that
// memory is reused at once, and everybody is killed every few milliseconds, the dead being reaped meanwhile. All of it
// through the store's own code. Built with -DSLAB_BROKEN_TWIN=1 (plain store instead of exchange) or =2 (no second
// look) it must find violations, else it proves nothing.
//
// broken-twins: 1 2
// A twin's failure is a matter of chance and of free cores: it runs until the first one, forty times as long at most.
//
//   pin_torture [seconds]      exit 0: none and the zone is whole; 1: violations; 2: could not run
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <random>

#include "shm/worker.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

constexpr uint32_t kKeys = 8, kReaders = 2, kWords = 128, kNoiseLines = 16;
#if defined(SLAB_BROKEN_TWIN)
constexpr bool kIsTwin = true;
#else
constexpr bool kIsTwin = false;
#endif

struct alignas(64) Line {
    std::atomic<uint64_t> word;
};

// Shared by all processes, outside of the zone.
struct Figures {
    std::atomic<uint64_t> looks, reuses, violations, failures;
    Line noise[kNoiseLines];
    std::atomic<uint64_t> version;
};

struct Stage {
    SharedRegion zone{1 << 20};
    SharedRegion extra{1 << 16};
    Figures* figures() const { return static_cast<Figures*>(extra.base()); }
};

bool join_as_myself(Store& s, const Stage& stage) {
    shm::WorkerId id;
    id.pid = static_cast<uint32_t>(getpid());
    return s.attach(stage.zone.base(), stage.zone.bytes(), 0, {}) == Status::kOk &&
           shm::read_start_time(id.pid, &id.start_time) && s.join(id) == Status::kOk;
}

std::string key_name(uint32_t k) { return "key " + std::to_string(k); }

#if defined(SLAB_CRASH_POINTS)
bool dawdles = false;
#endif

// Stores of ours to lines that are in no cache fill the store buffer: a publication that is only a plain store
// waits behind them, while the loads after it do not.
void make_noise(Figures* f, uint64_t x) {
    for (Line& line : f->noise) {
#if defined(__x86_64__)
        __builtin_ia32_clflush(&line);
#endif
        line.word.store(x, std::memory_order_relaxed);
    }
}

// All words of a body are the same, and stay so while it is pinned.
bool holds_still(const shm::Pin& pin, const std::string& key, const char* body) {
    uint64_t first;
    std::memcpy(&first, body, 8);
    for (uint32_t round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < kWords; i += 9) {
            const uint64_t now = *reinterpret_cast<const volatile uint64_t*>(body + i * 8);
            if (now != first) {
                return false;
            }
        }
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (Store::key(pin) != key) {
            return false;
        }
    }
    return first % kKeys == static_cast<uint64_t>(key.back() - '0');
}

void read_for_ever(const Stage& stage) {
    Store s;
    if (!join_as_myself(s, stage)) {
        stage.figures()->failures++;
        return;
    }
    Figures* f = stage.figures();
    std::string keys[kKeys];
    Digest digests[kKeys];
    for (uint32_t k = 0; k < kKeys; k++) {
        keys[k] = key_name(k);
        digests[k] = digest_of(keys[k]);
    }
    for (uint64_t i = 0;; i++) {
        const uint32_t k = static_cast<uint32_t>(f->version.load(std::memory_order_relaxed)) % kKeys;
        if (i % 4 != 0) {
            make_noise(f, i);
        }
        shm::Pin pin;
        if (s.find(digests[k], keys[k], &pin) != Status::kOk) {
            continue;
        }
        shm::Segment seg = {};
        uint64_t cursor = 0;
        const uint32_t n = s.segments(pin, 0, &cursor, &seg, 1);
        if (n != 1 || seg.len != kWords * 8 || !holds_still(pin, keys[k], seg.data)) {
            f->violations++;
        }
        f->looks.fetch_add(1, std::memory_order_relaxed);
        s.unpin(&pin);
    }
}

Status store_version(Store& s, uint32_t k, uint64_t version) {
    uint64_t words[kWords];
    for (uint64_t& w : words) {
        w = version;
    }
    Object o;
    o.key = key_name(k);
    o.body.assign(reinterpret_cast<const char*>(words), sizeof(words));
    return put(s, o, sizeof(words));
}

void write_for_ever(const Stage& stage) {
    Store s;
    if (!join_as_myself(s, stage)) {
        stage.figures()->failures++;
        return;
    }
    Figures* f = stage.figures();
    uint32_t x = static_cast<uint32_t>(getpid());
    for (;;) {
        const uint64_t version = f->version.load() + 1;
        const auto k = static_cast<uint32_t>(version % kKeys);
        if (store_version(s, k, version) == Status::kOk) {
            f->version.store(version);
            // Readers are on their way to it: the unlink should fall between their publication and their look.
            x = base::next_random(x);
            for (uint32_t i = x % 400; i > 0; i--) {
                std::atomic_signal_fence(std::memory_order_seq_cst);
            }
            static_cast<void>(s.remove(digest_of(key_name(k)), key_name(k)));
            f->reuses.fetch_add(1, std::memory_order_relaxed);
        } else {
            f->version.store(version);
        }
    }
}

// Retired but pinned for the whole run: with these in the list every remove() scans and frees at once.
bool hold_many_retired(Store& s) {
    for (uint32_t i = 0; i < 40; i++) {
        const std::string key = "held " + std::to_string(i);
        shm::Pin pin;
        if (put(s, key, "x") != Status::kOk || s.find(digest_of(key), key, &pin) != Status::kOk ||
            s.remove(digest_of(key), key) != Status::kOk) {
            return false;
        }
    }
    return true;
}

pid_t start(const Stage& stage, uint32_t role) {
    const pid_t pid = fork();
    if (pid == 0) {
#if defined(SLAB_CRASH_POINTS)
        dawdles = true;
#endif
        role == 0 ? write_for_ever(stage) : read_for_ever(stage);
        _exit(3);
    }
    return pid;
}

void end(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
}

int run(double seconds) {
    Stage stage;
    Store s;
    if (s.create(stage.zone.base(), stage.zone.bytes(), 0, {}, kSeed) != Status::kOk || !join_as_myself(s, stage) ||
        !hold_many_retired(s)) {
        return 2;
    }
    const uint32_t seed = std::random_device{}();
    std::mt19937 random(seed);
    pid_t children[kReaders + 1];
    for (uint32_t i = 0; i <= kReaders; i++) {
        children[i] = start(stage, i);
    }
    uint64_t kills = 0;
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(kIsTwin ? seconds * 40 : seconds);
    while (std::chrono::steady_clock::now() < until && (!kIsTwin || stage.figures()->violations == 0)) {
        usleep(2000 + random() % 4000);
        const uint32_t i = random() % (kReaders + 1);
        end(children[i]);
        kills++;
        s.reap();
        children[i] = start(stage, i);
    }
    for (const pid_t pid : children) {
        end(pid);
    }
    s.reap();
    const shm::Audit audit = s.audit();
    const Figures& f = *stage.figures();
    std::printf(
        "pin_torture: seed %u, %llu looks, %llu reuses, %llu kills, %llu repairs, %llu violations, "
        "audit %s\n",
        seed, static_cast<unsigned long long>(f.looks), static_cast<unsigned long long>(f.reuses),
        static_cast<unsigned long long>(kills),
        static_cast<unsigned long long>(s.counter_sum(static_cast<uint32_t>(21))),
        static_cast<unsigned long long>(f.violations), audit.clean ? "clean" : audit.first);
    return f.violations == 0 && audit.clean && f.failures == 0 && f.reuses > 0 ? 0 : 1;
}

}  // namespace
}  // namespace slab_cache::test

#if defined(SLAB_CRASH_POINTS)
// Between a reader's look at the index and its publication, between a writer's scan and its reuse: now and then somebody
// else runs.
extern "C" void slab_crash_point() noexcept {
    static uint32_t x = 1;
    x = slab_cache::base::next_random(x);
    if (slab_cache::test::dawdles && x % 128 == 0) {
        usleep(1);
    }
}
#endif

int main(int argc, char** argv) { return slab_cache::test::run(argc > 1 ? std::atof(argv[1]) : 3); }
