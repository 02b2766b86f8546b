// tests/crash/store_crash.cpp — a process dies before its k-th operation on the zone, for every k.
//
// For each deed: a child is forked, told k, and killed by SIGKILL before the k-th atomic operation or copy of the
// deed. The parent, another process at the same zone, is the witness: it reads, stores, reaps, and audits. Every k
// from 1 until the deed is done without dying. The zone is restored from a copy before each k.
//
//   store_crash [deed]         exit 0: all points survived
// Built with -DSLAB_CRASH_POINTS.
#include <cstdio>
#include <cstring>
#include <functional>

#include "cache/globs.h"
#include "shm/counters.h"
#include "shm/layout.h"
#include "dying_child.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

constexpr size_t kBytes = 1 << 20;

shm::Config config() {
    shm::Config c;
    c.max_object = 128 * 1024;  // for a head longer than a block
    return c;
}

bool attach(Store& s, const SharedRegion& zone) {
    return s.attach(zone.base(), kBytes, 0, config()) == Status::kOk && s.join(me()) == Status::kOk;
}

Object object(const std::string& key, uint32_t version, size_t bytes = 3000) {
    Object o;
    o.key = key;
    o.body = pattern(bytes, version);
    o.selectors = {fingerprint(key), fingerprint("all of them")};
    return o;
}

struct Deed {
    const char* name;
    std::function<void(Store&)> prepare;  // in the parent, before each k, on a fresh zone
    std::function<void(Store&)> deed;     // in the child
    // In the parent afterwards; an empty string or what is wrong.
    std::function<std::string(Store&, bool finished)> witness;
};

std::string expect_one_of(Store& s, const std::string& key, std::vector<std::string> allowed) {
    const std::string got = get(s, key);
    for (const std::string& a : allowed) {
        if (got == a) {
            return "";
        }
    }
    return "key " + key + ": a body that was never stored, " + std::to_string(got.size()) + " bytes";
}

void fill_up(Store& s) {
    for (uint32_t i = 0; i < 250; i++) {
        static_cast<void>(put(s, object("k" + std::to_string(i), i)));
    }
}

std::string others_are_right(Store& s) {
    for (uint32_t i = 0; i < 250; i += 7) {
        const std::string e = expect_one_of(s, "k" + std::to_string(i), {"<miss>", "<purged>", pattern(3000, i)});
        if (!e.empty()) {
            return e;
        }
    }
    return "";
}

// A dead writer's lock, found dirty: whoever comes next repairs.
void break_lock(Store& s) {
    auto* z = reinterpret_cast<shm::ZoneHeader*>(static_cast<char*>(s.user_area()) - sizeof(shm::ZoneHeader));
    auto* shard = reinterpret_cast<shm::Shard*>(reinterpret_cast<char*>(z) + z->shard_offset[0]);
    shard->lock.dirty.store_release(1);
    shard->lock.owner.store_release(shm::identity_word({1 << 20, 1}));
}

// A dead process's record with a pin, a fill and a lease in it: made by a child that just ends.
void leave_a_body(Store& s) {
    const auto* z = reinterpret_cast<shm::ZoneHeader*>(static_cast<char*>(s.user_area()) - sizeof(shm::ZoneHeader));
    if (const pid_t pid = fork(); pid != 0) {
        waitpid(pid, nullptr, 0);
        return;
    }
    Store dead;
    shm::Pin pin;
    shm::Writer w;
    shm::Ticket t;
    shm::WakeSet wake;
    const Object o = object("half", 1);
    bool ok = dead.attach(const_cast<shm::ZoneHeader*>(z), kBytes, 0, config()) == Status::kOk &&
              dead.join(me()) == Status::kOk && put(dead, object("a", 1)) == Status::kOk &&
              dead.find(digest_of("a"), "a", &pin) == Status::kOk &&
              dead.begin(describe(o, dead.birth_stamp()), kNow, &w) == Status::kOk;
    ok = ok && dead.lease_acquire(digest_of("half"), 1, 5000, &t) == shm::LeaseAnswer::kOwned;
    dead.lease_attach(t, w, &wake);
    _exit(ok && dead.remove(digest_of("a"), "a") == Status::kOk ? 0 : 1);
}

// Rules of purges by pattern, beside the zone and shared like it.
cache::GlobTable* rules() {
    static const SharedRegion region(sizeof(cache::GlobTable));
    return static_cast<cache::GlobTable*>(region.base());
}

void purge_pattern(Store& s, const std::string& text) {
    struct Call {
        const std::string* text;
        shm::PurgeSection* section;
    } call{&text, nullptr};
    const uint64_t seq = s.purge(
        nullptr, 0, shm::PurgeMode::kHard,
        [](shm::PurgeSection* section, void* at) {
            auto* c = static_cast<Call*>(at);
            c->section = section;
            cache::add_glob(
                rules(), {"h", *c->text, false}, section->seq(),
                [](base::Bytes, bool, void* to) {
                    static_cast<Call*>(to)->section->add(fingerprint("host"), shm::PurgeMode::kHard);
                },
                c);
        },
        &call);
    cache::publish_globs(rules(), seq);
}

// Of an object with birth 1 on that host.
bool is_purged(const Store& s, const std::string& path) {
    const uint64_t host = fingerprint("host");
    return cache::judge_globs(*rules(), {"h", path, {}}, 1) != cache::GlobAnswer::kNone ||
           s.validity_of(&host, 1, 1) != shm::Validity::kValid;
}

std::vector<Deed> deeds() {
    const auto nothing = [](Store&) {};
    const auto one = [](Store& s) { static_cast<void>(put(s, object("a", 1))); };
    return {
        {"store", nothing, [](Store& s) { static_cast<void>(put(s, object("a", 2, 20000), 7000)); },
         [](Store& s, bool done) {
             return expect_one_of(
                 s, "a", done ? std::vector{pattern(20000, 2)} : std::vector{std::string("<miss>"), pattern(20000, 2)});
         }},
        {"store of unknown length", nothing,
         [](Store& s) {
             Object o = object("a", 2, 17000);
             o.known_length = false;
             static_cast<void>(put(s, o, 9000));
         },
         [](Store& s, bool done) {
             return expect_one_of(
                 s, "a", done ? std::vector{pattern(17000, 2)} : std::vector{std::string("<miss>"), pattern(17000, 2)});
         }},
        {"store with a head longer than a block", nothing,
         [](Store& s) {
             Object o = object("a", 2, 9000);
             o.head = std::string(60000, 'h') + std::string(10000, 'i');
             static_cast<void>(put(s, o, 9000));
         },
         [](Store& s, bool done) {
             shm::Pin pin;
             if (s.find(digest_of("a"), "a", &pin) == Status::kOk) {
                 std::string head(Store::head_length(pin), '\0');
                 const bool whole =
                     s.copy_head(pin, head.data()) && head == std::string(60000, 'h') + std::string(10000, 'i');
                 s.unpin(&pin);
                 if (!whole) {
                     return std::string("half a head was published");
                 }
             }
             return expect_one_of(
                 s, "a", done ? std::vector{pattern(9000, 2)} : std::vector{std::string("<miss>"), pattern(9000, 2)});
         }},
        {"small store of unknown length", nothing,
         [](Store& s) {
             Object o = object("a", 2, 700);
             o.known_length = false;
             static_cast<void>(put(s, o));
         },
         [](Store& s, bool) {
             return expect_one_of(s, "a", {"<miss>", pattern(700, 2)});
         }},
        {"replace", one, [](Store& s) { static_cast<void>(put(s, object("a", 2))); },
         [](Store& s, bool done) {
             return expect_one_of(
                 s, "a", done ? std::vector{pattern(3000, 2)} : std::vector{pattern(3000, 1), pattern(3000, 2)});
         }},
        {"remove", one, [](Store& s) { static_cast<void>(s.remove(digest_of("a"), "a")); },
         [](Store& s, bool done) {
             return expect_one_of(
                 s, "a",
                 done ? std::vector{std::string("<miss>")} : std::vector{std::string("<miss>"), pattern(3000, 1)});
         }},
        {"purge", one,
         [](Store& s) {
             const uint64_t fps[3] = {fingerprint("x"), fingerprint("a"), fingerprint("y")};
             s.purge(fps, 3, shm::PurgeMode::kHard);
         },
         [](Store& s, bool done) {
             std::string e = expect_one_of(
                 s, "a",
                 done ? std::vector{std::string("<purged>")} : std::vector{std::string("<purged>"), pattern(3000, 1)});
             const uint64_t fp = fingerprint("a");
             s.purge(&fp, 1, shm::PurgeMode::kHard);
             if (e.empty()) {
                 e = expect_one_of(s, "a", {"<purged>"});
             }
             return e.empty() && put(s, object("a", 3)) != Status::kOk ? "a store after the purge fails" : e;
         }},
        {"purge by a pattern that takes the place of another",
         [](Store& s) {
             std::memset(static_cast<void*>(rules()), 0, sizeof(cache::GlobTable));
             for (uint32_t i = 0; i < cache::kGlobRules; i++) {
                 purge_pattern(s, "/" + std::to_string(i) + "*");
             }
         },
         [](Store& s) { purge_pattern(s, "/new*"); },
         [](Store& s, bool done) -> std::string {
             if (!is_purged(s, "/0") || !is_purged(s, "/1") || (done && !is_purged(s, "/new"))) {
                 return "a purge by pattern was lost";
             }
             const uint64_t birth = s.birth_stamp();
             purge_pattern(s, "/again*");
             return cache::judge_globs(*rules(), {"h", "/again", {}}, birth) == cache::GlobAnswer::kHard
                        ? ""
                        : "no purge by pattern after the death of one";
         }},
        {"purge, and nobody purges after it", one, [](Store& s) { s.purge_all(shm::PurgeMode::kHard); },
         [](Store& s, bool) {
             s.reap();
             return put(s, object("a", 3)) == Status::kOk ? "" : "nothing can be stored after the reap";
         }},
        {"evict", fill_up, [](Store& s) { static_cast<void>(put(s, object("new", 9, 40000), 40000)); },
         [](Store& s, bool) {
             const std::string e = expect_one_of(s, "new", {"<miss>", pattern(40000, 9)});
             return e.empty() ? others_are_right(s) : e;
         }},
        {"repair",
         [](Store& s) {
             for (uint32_t i = 0; i < 12; i++) {
                 static_cast<void>(put(s, object("k" + std::to_string(i * 7), i * 7)));
             }
             break_lock(s);
         },
         [](Store& s) { static_cast<void>(put(s, object("a", 2))); },
         [](Store& s, bool) {
             for (uint32_t i = 0; i < 12; i++) {
                 if (get(s, "k" + std::to_string(i * 7)) != pattern(3000, i * 7)) {
                     return std::string("an object was lost in a repair");
                 }
             }
             return expect_one_of(s, "a", {"<miss>", pattern(3000, 2)});
         }},
        {"reap", leave_a_body, [](Store& s) { s.reap(); },
         [](Store& s, bool) {
             shm::Ticket t;
             return s.lease_acquire(digest_of("half"), 300, 5000, &t) == shm::LeaseAnswer::kOwned
                        ? std::string()
                        : std::string("a dead owner's lease is not to be had");
         }},
        {"join and leave", nothing,
         [](Store& s) {
             s.leave();
             static_cast<void>(s.join(me()));
         },
         [](Store&, bool) { return std::string(); }},
        {"find", one, [](Store& s) { static_cast<void>(get(s, "a")); },
         [](Store& s, bool) { return expect_one_of(s, "a", {pattern(3000, 1)}); }},
        {"lease", nothing,
         [](Store& s) {
             shm::Ticket t;
             shm::Writer w;
             shm::WakeSet wake;
             const Object o = object("a", 2);
             if (s.lease_acquire(digest_of("a"), 100, 5000, &t) == shm::LeaseAnswer::kOwned &&
                 s.begin(describe(o, s.birth_stamp()), kNow, &w) == Status::kOk) {
                 s.lease_attach(t, w, &wake);
                 if (s.append(&w, o.body, kNow) == Status::kOk && s.commit(&w, kNow) == Status::kOk) {
                     s.lease_progress(t, 101, &wake);
                     s.lease_release(t, shm::LeaseState::kPublished, 0, &wake);
                 }
             }
         },
         [](Store& s, bool) {
             shm::Ticket t;
             if (s.lease_acquire(digest_of("a"), 400, 5000, &t) != shm::LeaseAnswer::kOwned) {
                 return std::string("a dead owner's lease is not to be had");
             }
             return expect_one_of(s, "a", {"<miss>", pattern(3000, 2)});
         }},
        {"sweep", fill_up, [](Store& s) { s.sweep(kNow + 1000000, 1, 10); },
         [](Store& s, bool) { return others_are_right(s); }},
        {"abort", nothing,
         [](Store& s) {
             shm::Writer w;
             const Object o = object("a", 2, 20000);
             if (s.begin(describe(o, s.birth_stamp()), kNow, &w) == Status::kOk) {
                 static_cast<void>(s.append(&w, base::slice(o.body, 0, 15000), kNow));
                 s.abort(&w);
             }
         },
         [](Store& s, bool) { return expect_one_of(s, "a", {"<miss>"}); }},
    };
}

// What must hold whatever happened: the zone goes on, nothing is left behind, every invariant holds.
std::string goes_on(Store& s) {
    s.reap();
    for (uint32_t i = 0; i < 40; i++) {
        const std::string key = "after " + std::to_string(i);
        if (put(s, object(key, 1000 + i, 5000)) != Status::kOk) {
            return "a store afterwards fails";
        }
        if (get(s, key) != pattern(5000, 1000 + i)) {
            return "a read afterwards fails";
        }
    }
    s.sweep(kNow, 1 << 30, 4);
    const shm::Stats stats = s.stats();
    if (stats.workers_live != 1 || stats.workers_draining != 0) {
        return "a dead process still has a record";
    }
    if (stats.filling_bytes != 0 || stats.retired_bytes != 0 || stats.pins != 0) {
        return "something of the dead is left";
    }
    const shm::Audit audit = s.audit();
    return audit.clean ? "" : audit.first;
}

// Runs the deed in a child that dies at its k-th operation. True when it was done before.
bool act(const SharedRegion& zone, const Deed& d, long k) {
    Store child;
    return outlives(
        k, [&] { return attach(child, zone); }, [&] { d.deed(child); });
}

int run(const Deed& d) {
    SharedRegion zone(kBytes);
    return at_each_point(d.name, [&](long k, bool* done) {
        std::memset(zone.base(), 0, kBytes);
        Store parent;
        if (parent.create(zone.base(), kBytes, 0, config(), kSeed) != Status::kOk || parent.join(me()) != Status::kOk) {
            give_up(d.name);
        }
        d.prepare(parent);
        *done = act(zone, d, k);
        std::string e = d.witness(parent, *done);
        e = e.empty() ? goes_on(parent) : e;
        parent.leave();
        return e;
    });
}

}  // namespace
}  // namespace slab_cache::test

int main(int argc, char** argv) {
    return slab_cache::test::run_deeds(slab_cache::test::deeds(), slab_cache::test::run, argc, argv);
}
