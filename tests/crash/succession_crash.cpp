// tests/crash/succession_crash.cpp — a zone takes another's place, and a process dies before its k-th operation, for every k.
//
// Two zones in shared memory, the second the first's successor. A child is killed within the deed; the parent, a process of
// both zones, is the witness: purges that were answered hold in both, locks and records are taken back, both audits are clean.
// Built with -DSLAB_CRASH_POINTS.
#include <cstdio>
#include <cstring>
#include <functional>

#include "dying_child.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using shm::PurgeMode;

constexpr size_t kOldBytes = 1 << 20;
constexpr size_t kNewBytes = 3 << 19;

Object object(const std::string& key) {
    Object o;
    o.key = key;
    o.body = pattern(3000, static_cast<uint32_t>(key[0]));
    o.selectors = {fingerprint(key)};
    return o;
}

void purge(Store& s, const std::string& key) {
    const uint64_t fp = fingerprint(key);
    s.purge(&fp, 1, PurgeMode::kHard);
}

// One process's handles to both zones.
struct Both {
    Store old, next;

    bool join(const SharedRegion& a, const SharedRegion& b) {
        return old.attach(a.base(), kOldBytes, 0, {}) == Status::kOk && old.join(me()) == Status::kOk &&
               next.attach(b.base(), kNewBytes, 0, {}) == Status::kOk && next.join(me()) == Status::kOk;
    }
};

struct Deed {
    const char* name;
    std::function<void(Both&)> prepare;               // in the parent
    std::function<void(Both&)> deed;                  // in the child
    std::function<std::string(Both&, bool)> witness;  // in the parent; was it done? Empty, or what is wrong
};

std::string purged_in_both(Both& b, const char* when) {
    return get(b.next, "a") != "<purged>"  ? std::string("not purged in the new zone ") + when
           : get(b.old, "a") != "<purged>" ? std::string("not purged in the old zone ") + when
                                           : "";
}

const Deed kDeeds[] = {
    {"import", [](Both& b) { purge(b.old, "a"); }, [](Both& b) { static_cast<void>(get(b.next, "a")); },
     [](Both& b, bool) { return purged_in_both(b, "though it was answered"); }},
    {"import of a purge of all", [](Both& b) { b.old.purge_all(PurgeMode::kHard); },
     [](Both& b) { static_cast<void>(get(b.next, "a")); },
     [](Both& b, bool) { return purged_in_both(b, "though it was answered"); }},
    {"purge in the new zone", [](Both&) {}, [](Both& b) { purge(b.next, "a"); },
     [](Both& b, bool done) {
         std::string e = done ? purged_in_both(b, "though it was answered") : "";
         purge(b.next, "a");
         return e.empty() ? purged_in_both(b, "after another one") : e;
     }},
    {"purge in the old zone", [](Both&) {}, [](Both& b) { purge(b.old, "a"); },
     [](Both& b, bool done) {
         std::string e = done ? purged_in_both(b, "though it was answered") : "";
         purge(b.old, "a");
         return e.empty() ? purged_in_both(b, "after another one") : e;
     }},
};

std::string goes_on(Store& s, const char* which) {
    s.reap();
    const std::string key = "after";
    if (put(s, object(key)) != Status::kOk || get(s, key) != object(key).body) {
        return std::string("nothing can be stored afterwards in the ") + which;
    }
    const shm::Stats stats = s.stats();
    if (stats.workers_live != 1 || stats.workers_draining != 0 || stats.pins != 0) {
        return std::string("something of the dead is left in the ") + which;
    }
    const shm::Audit audit = s.audit();
    return audit.clean ? "" : std::string(which) + ": " + audit.first;
}

bool act(Both& parent, const SharedRegion& a, const SharedRegion& b, const Deed& d, long k) {
    Both child;
    return outlives(
        k, [&] { return child.join(a, b) && child.next.keep_prior(parent.next, 0, a.base()) == Status::kOk; },
        [&] { d.deed(child); });
}

bool prepare(Both* parent, const SharedRegion& a, const SharedRegion& b) {
    std::memset(a.base(), 0, kOldBytes);
    std::memset(b.base(), 0, kNewBytes);
    return parent->old.create(a.base(), kOldBytes, 0, {}, kSeed) == Status::kOk &&
           parent->old.join(me()) == Status::kOk && put(parent->old, object("a")) == Status::kOk &&
           parent->next.create(b.base(), kNewBytes, 0, {}, kSeed) == Status::kOk &&
           parent->next.succeed(parent->old, a.base()) == Status::kOk && parent->next.join(me()) == Status::kOk &&
           parent->next.carry(&parent->old, {nullptr, nullptr, kNow}).entries == 1;
}

int run(const Deed& d) {
    SharedRegion a(kOldBytes);
    SharedRegion b(kNewBytes);
    return at_each_point(d.name, [&](long k, bool* done) {
        Both parent;
        if (!prepare(&parent, a, b)) {
            give_up(d.name);
        }
        d.prepare(parent);
        *done = act(parent, a, b, d, k);
        std::string e = d.witness(parent, *done);
        e = e.empty() ? goes_on(parent.old, "old zone") : e;
        e = e.empty() ? goes_on(parent.next, "new zone") : e;
        parent.next.leave();
        parent.old.leave();
        return e;
    });
}

}  // namespace
}  // namespace slab_cache::test

int main(int argc, char** argv) {
    return slab_cache::test::run_deeds(slab_cache::test::kDeeds, slab_cache::test::run, argc, argv);
}
