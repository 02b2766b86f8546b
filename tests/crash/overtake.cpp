// tests/crash/overtake.cpp — an owner is overtaken before its k-th operation on the zone, for every k.
//
// One process plays two: before the k-th operation of the slow owner's deed the other one takes the lease over and
// attaches an entry of its own. Whatever the slow one still does, a watcher of the new tenancy pins the new owner's
// entry (W3 in lease.h). Built with -DSLAB_CRASH_POINTS, where "die" means "be interrupted".
//
//   overtake        exit 0: all points survived
#include <cstdio>
#include <functional>

#include "interruption.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

constexpr uint32_t kSilence = 5000;

struct Scene {
    Zone zone{1 << 20};
    std::unique_ptr<Store> other = zone.attach(2), third = zone.attach(3);
    shm::Ticket mine, theirs;
    shm::Writer slow, quick;
    shm::WakeSet wake;

    bool begin(Store& s, shm::Writer* w) {
        Object o;
        o.key = "a";
        o.known_length = false;
        return s.begin(describe(o, s.birth_stamp()), kNow, w) == Status::kOk;
    }
    bool take() {
        return zone.store.lease_acquire(digest_of("a"), 1000, kSilence, &mine) == shm::LeaseAnswer::kOwned &&
               begin(zone.store, &slow);
    }
    void attach_mine() { zone.store.lease_attach(mine, slow, &wake); }
    void overtake() {
        if (other->lease_acquire(digest_of("a"), 9000, kSilence, &theirs) == shm::LeaseAnswer::kOwned) {
            other->lease_attach(theirs, quick, &wake);
        }
    }
};

struct Deed {
    const char* name;
    std::function<void(Scene&)> prepare, deed;
};

// Empty, or what is wrong.
std::string look(Scene* scene) {
    shm::Pin pin;
    if (!scene->theirs) {
        return "the lease could not be taken over";
    }
    if (scene->third->lease_watch(scene->theirs, 9001, kSilence).state != shm::LeaseState::kStreaming) {
        return "the new tenancy does not stream";
    }
    if (scene->third->lease_pin(scene->theirs, digest_of("a"), "a", &pin) != Status::kOk) {
        return "the new owner's entry cannot be pinned";
    }
    const bool right = pin.ref == scene->quick.ref;
    scene->third->unpin(&pin);
    return right ? "" : "the slow owner's entry was pinned through the new ticket";
}

int run(const Deed& d) {
    for (long k = 1;; k++) {
        Scene scene;
        if (!scene.take() || !scene.begin(*scene.other, &scene.quick)) {
            return 1;
        }
        d.prepare(scene);
        g_interruption = [&] { scene.overtake(); };
        g_left = k;
        d.deed(scene);
        const bool was_interrupted = g_left == 0;
        g_left = 0;
        if (!was_interrupted) {
            std::printf("ok      %s: %ld points\n", d.name, k - 1);
            return 0;
        }
        if (const std::string e = look(&scene); !e.empty()) {
            std::printf("FAILED  %s: overtaken before operation %ld: %s\n", d.name, k, e.c_str());
            return 1;
        }
    }
}

int main_of_all() {
    const auto attached = [](Scene& s) { s.attach_mine(); };
    const Deed deeds[] = {
        {"attach", [](Scene&) {}, attached},
        {"release", attached,
         [](Scene& s) { s.zone.store.lease_release(s.mine, shm::LeaseState::kFailed, 0, &s.wake); }},
        {"progress", attached, [](Scene& s) { s.zone.store.lease_progress(s.mine, 3500, &s.wake); }},
        {"reap",
         [](Scene& s) {
             s.attach_mine();
             s.zone.lives.dead[1] = true;
         },
         [](Scene& s) { s.third->reap(&s.wake); }},
    };
    int failed = 0, ran = 0;
    for (const Deed& d : deeds) {
        failed += run(d);
        ran++;
    }
    std::printf("overtake: %d passed, %d failed\n", ran - failed, failed);
    return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace slab_cache::test

int main() { return slab_cache::test::main_of_all(); }
