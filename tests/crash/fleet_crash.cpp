// tests/crash/fleet_crash.cpp — a worker of a fleet dies before its k-th operation, for every k: between a purge's record, the
// outbox, what the server takes, the position, the lease.
//
// A zone with a fleet's area, and a server: a log of entries in shared memory that outlives the child. The parent takes over, as
// the next holder would, and is the witness: a purge that was answered counts here and is in the stream; what is in the outbox
// counts here; every entry up to the position counts here; entries are in order. The last deed writes the position first: there
// the witness must find a loss. Built with -DSLAB_CRASH_POINTS.
#include <cstdio>
#include <cstring>
#include <functional>

#include "cache/fleet_area.h"
#include "dying_child.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using base::Bytes;
using cache::FleetArea;
using cache::Outbox;
using cache::OutboxRecord;
using cache::StreamId;
using shm::PurgeMode;

constexpr size_t kZoneBytes = 3 << 20;
constexpr uint32_t kKeys = 4;
const char* const kKey[kKeys] = {"a", "b", "c", "d"};

// What the server has taken; plain memory, so that the server itself never dies half-way.
struct Server {
    uint32_t count;
    char text[64][16];
};

struct World {
    Store store;
    FleetArea* area = nullptr;
    Server* server = nullptr;

    bool join(const SharedRegion& zone, const SharedRegion& server_memory) {
        shm::Config config;
        config.user_bytes = sizeof(FleetArea);
        server = static_cast<Server*>(server_memory.base());
        if (store.attach(zone.base(), kZoneBytes, 0, config) != Status::kOk || store.join(me()) != Status::kOk) {
            return false;
        }
        area = cache::fleet_area(store.user_area());
        return area != nullptr;
    }
    Outbox outbox() const { return Outbox(&area->outbox); }
};

struct Telling {
    World* world;
    const Bytes* text;
    uint32_t count;
    bool fits;
};

// As ngx/fleet/purge_zone.cpp does it.
void tell(shm::PurgeSection* section, void* data) {
    auto* t = static_cast<Telling*>(data);
    cache::OutboxPlace place;
    t->fits = t->world->outbox().put(t->text, t->count, section->seq(), 1, &place);
}

void purge(World& w, std::initializer_list<uint32_t> keys) {
    uint64_t fp[kKeys];
    Bytes text[kKeys];
    uint32_t n = 0;
    for (const uint32_t k : keys) {
        fp[n] = fingerprint(kKey[k]);
        text[n++] = kKey[k];
    }
    Telling t{&w, text, n, false};
    w.store.purge(fp, n, PurgeMode::kHard, tell, &t);
}

void add(World& w, Bytes text) {
    std::memcpy(w.server->text[w.server->count], text.data(), text.size());
    w.server->text[w.server->count][text.size()] = '\0';
    w.server->count++;
}

// As ngx/fleet/write_stream.cpp does it: one after the other.
void publish(World& w) {
    Outbox outbox = w.outbox();
    OutboxRecord record;
    while (outbox.read(outbox.tail(), &record)) {
        add(w, std::string(record.text));
        outbox.note_sent(record, {w.server->count, 0});
    }
    if (outbox.untold() != 0) {
        const uint64_t missed = outbox.missed();
        add(w, "doubt");
        outbox.note_told(missed, {w.server->count, 0});
    }
}

// As ngx/fleet/read_stream.cpp does it.
void read(World& w, bool position_first) {
    cache::FleetPosition at;
    const uint64_t done = cache::read_position(*w.area, &at) ? at.id.ms : 0;
    for (uint64_t i = done; i < w.server->count; i++) {
        const uint64_t fp = fingerprint(w.server->text[i]);
        if (position_first) {
            cache::write_position(w.area, {{i + 1, 0}, 7}, w.store.purge_seq());
        }
        w.store.purge(&fp, 1, PurgeMode::kHard);
        if (!position_first) {
            cache::write_position(w.area, {{i + 1, 0}, 7}, w.store.purge_seq());
        }
    }
}

bool counts(World& w, uint32_t key) {
    return get(w.store, kKey[key]) == "<purged>" || get(w.store, kKey[key]) == "<miss>";
}

bool is_at_server(const World& w, uint32_t key) {
    for (uint32_t i = 0; i < w.server->count; i++) {
        if (std::strcmp(w.server->text[i], kKey[key]) == 0 || std::strcmp(w.server->text[i], "doubt") == 0) {
            return true;
        }
    }
    return false;
}

bool waits(const World& w, uint32_t key) {
    OutboxRecord record;
    const Outbox outbox = w.outbox();
    for (uint64_t at = outbox.tail(); outbox.read(at, &record); at = record.end) {
        if (record.text == kKey[key]) {
            return true;
        }
    }
    return false;
}

// What the parent does next, and what must hold then.
std::string published(World& w, std::initializer_list<uint32_t> keys, bool answered) {
    w.store.reap();
    bool any = false;
    bool all = true;
    for (const uint32_t k : keys) {
        const bool is_told = waits(w, k) || is_at_server(w, k) || w.outbox().untold() != 0;
        any = any || is_told;
        all = all && is_told;
        if (is_told && !counts(w, k)) {
            return std::string("others will purge ") + kKey[k] + ", and it is served here";
        }
        if (answered && !is_told) {
            return std::string("the purge of ") + kKey[k] + " was answered, and is lost to the others";
        }
    }
    if (any != all) {
        return "a part of a purge is told";
    }
    publish(w);
    for (const uint32_t k : keys) {
        if (any && !is_at_server(w, k)) {
            return std::string(kKey[k]) + " did not reach the server";
        }
    }
    return w.outbox().waiting() == 0 && w.outbox().untold() == 0 ? "" : "something waits for ever";
}

std::string in_order(const World& w) {
    // Sent twice is fine, overtaken is not: the first of each, in order.
    std::string seen;
    for (uint32_t i = 0; i < w.server->count; i++) {
        if (seen.find(w.server->text[i]) == std::string::npos) {
            seen += w.server->text[i];
        }
    }
    return seen == "abcd" ? "" : "the server has " + seen;
}

std::string read_to_the_end(World& w) {
    w.store.reap();
    read(w, false);
    cache::FleetPosition at;
    if (!cache::read_position(*w.area, &at) || at.id.ms != w.server->count) {
        return "the position is not the end";
    }
    for (uint32_t k = 0; k < kKeys; k++) {
        if (!counts(w, k)) {
            return std::string("the purge of ") + kKey[k] + " is lost: the position went by it";
        }
    }
    return "";
}

bool is_dead(uint64_t owner, void*) {
    uint64_t start = 0;
    const shm::WorkerId id = shm::identity_of(owner);
    const shm::Life life = shm::look_at_process(id.pid, &start);
    return life == shm::Life::kDead || (life == shm::Life::kAlive && start != id.start_time);
}

std::string takes_over(World& w) {
    uint64_t epoch = 0;
    const uint64_t self = shm::identity_word(me());
    if (!cache::take_lease(w.area, self, 100, is_dead, nullptr, &epoch)) {
        return "the dead holder's lease is not to be had";
    }
    return cache::keep_lease(w.area, self, epoch, 101) ? "" : "the lease is not ours though we took it";
}

void fill_ring(World& w) {
    const std::string text(8000, 'x');
    const Bytes one[] = {text};
    cache::OutboxPlace place;
    OutboxRecord record;
    Outbox outbox = w.outbox();
    for (int i = 0; i < 60; i++) {
        (void) outbox.put(one, 1, 1, 1, &place);
        if (outbox.read(outbox.tail(), &record)) {
            outbox.note_sent(record, {1, static_cast<uint64_t>(i)});
        }
    }
}

bool is_doubted(World& w) {
    shm::Pin pin;
    if (w.store.find(digest_of(kKey[0]), kKey[0], &pin) != Status::kOk) {
        return true;
    }
    const bool doubted = w.store.validity(pin) != shm::Validity::kValid;
    w.store.unpin(&pin);
    return doubted;
}

struct Deed {
    const char* name;
    std::function<void(World&)> prepare;               // in the parent
    std::function<void(World&)> deed;                  // in the child
    std::function<std::string(World&, bool)> witness;  // in the parent; was it done? Empty, or what is wrong
    bool must_fail = false;
};

void four_entries(World& w) {
    for (const char* k : kKey) {
        add(w, k);
    }
}

const Deed kDeeds[] = {
    {"purge that is told", [](World&) {}, [](World& w) { purge(w, {0}); },
     [](World& w, bool done) { return published(w, {0}, done); }},
    {"purge of several that is told", [](World&) {},
     [](World& w) {
         purge(w, {0, 1, 2});
     },
     [](World& w, bool done) {
         return published(w, {0, 1, 2}, done);
     }},
    {"purge where the ring goes round", fill_ring,
     [](World& w) {
         purge(w, {0, 1});
     },
     [](World& w, bool done) {
         return published(w, {0, 1}, done);
     }},
    {"purge that does not fit",
     [](World& w) {
         const std::string text(cache::kMaxRecordText, 'x');
         const Bytes one[] = {text};
         cache::OutboxPlace place;
         while (w.outbox().put(one, 1, 1, 1, &place)) {
         }
         w.outbox().note_told(w.outbox().missed(), {1, 0});
         const std::string fill(w.outbox().start() + cache::kOutboxBytes - w.outbox().head() - 100, 'y');
         const Bytes last[] = {fill};
         (void) w.outbox().put(last, 1, 1, 1, &place);
         w.outbox().note_told(w.outbox().missed(), {1, 0});
     },
     [](World& w) {
         purge(w, {0, 1, 2, 3});
     },
     [](World& w, bool done) {
         w.store.reap();
         const bool is_told = w.outbox().untold() != 0;
         if (done && !is_told && !waits(w, 0)) {
             return std::string("it was answered, and is lost to the others");
         }
         return is_told && !counts(w, 0) ? std::string("others will doubt, and it is served here") : std::string();
     }},
    {"publish",
     [](World& w) {
         purge(w, {0});
         purge(w, {1});
         purge(w, {2, 3});
         w.outbox().miss();
     },
     publish,
     [](World& w, bool) {
         std::string e = published(w, {0, 1, 2, 3}, true);
         Server clean = *w.server;
         clean.count = 0;
         for (uint32_t i = 0; i < w.server->count; i++) {
             if (std::strcmp(w.server->text[i], "doubt") != 0) {
                 std::memcpy(clean.text[clean.count++], w.server->text[i], sizeof(clean.text[0]));
             }
         }
         *w.server = clean;
         return e.empty() ? in_order(w) : e;
     }},
    {"read", four_entries, [](World& w) { read(w, false); }, [](World& w, bool) { return read_to_the_end(w); }},
    {"take the lease", [](World&) {},
     [](World& w) {
         uint64_t epoch = 0;
         (void) cache::take_lease(w.area, shm::identity_word(me()), 50, is_dead, nullptr, &epoch);
     },
     [](World& w, bool) { return takes_over(w); }},
    {"take the lease from the dead",
     [](World& w) {
         w.area->lease.owner.store_relaxed(shm::identity_word({4194000, 1}));
     },
     [](World& w) {
         uint64_t epoch = 0;
         (void) cache::take_lease(w.area, shm::identity_word(me()), 50, is_dead, nullptr, &epoch);
     },
     [](World& w, bool) { return takes_over(w); }},
    {"note a node",
     [](World& w) {
         (void) cache::note_node(w.area, "web2", {1, 0}, 5, cache::NodeState::kLive);
     },
     [](World& w) {
         (void) cache::note_node(w.area, "web2", {2, 0}, 6, cache::NodeState::kSilent);
     },
     [](World& w, bool) {
         cache::FleetNode node;
         if (cache::look_at_node(*w.area, 0, &node) == cache::NodeLook::kNone) {
             return std::string("a node is forgotten");
         }
         if (cache::read_node(*w.area, 0, &node) && node.position != (StreamId{1, 0}) &&
             node.position != (StreamId{2, 0})) {
             return std::string("half a node is read");
         }
         const bool noted = cache::note_node(w.area, "web2", {3, 0}, 7, cache::NodeState::kLive);
         return noted && cache::read_node(*w.area, 0, &node) && node.position == (StreamId{3, 0})
                    ? std::string()
                    : std::string("it cannot be noted again");
     }},
    {"doubt", [](World& w) { cache::raise_ms(&w.area->clear_ms, 1); },
     [](World& w) {
         if (cache::must_doubt(w.area, 5000, 1000)) {
             w.store.purge_all(PurgeMode::kDoubt);
             cache::note_doubted(w.area, 5000);
         }
     },
     [](World& w, bool) {
         w.store.reap();
         // Somebody else has to do it before it is a second late.
         return is_doubted(w) || cache::must_doubt(w.area, 5200, 1000) ? std::string()
                                                                       : std::string("it was due, and nobody does it");
     }},
    {"twin: position before the purge", four_entries, [](World& w) { read(w, true); },
     [](World& w, bool) { return read_to_the_end(w); }, true},
};

bool act(const SharedRegion& zone, const SharedRegion& server, const Deed& d, long k) {
    World child;
    return outlives(
        k, [&] { return child.join(zone, server); }, [&] { d.deed(child); });
}

bool prepare(World* parent, const SharedRegion& zone, const SharedRegion& server) {
    shm::Config config;
    config.user_bytes = sizeof(FleetArea);
    std::memset(zone.base(), 0, kZoneBytes);
    std::memset(server.base(), 0, sizeof(Server));
    if (parent->store.create(zone.base(), kZoneBytes, 0, config, kSeed) != Status::kOk || !parent->join(zone, server)) {
        return false;
    }
    for (const char* key : kKey) {
        Object o;
        o.key = key;
        o.body = "body";
        o.selectors = {fingerprint(key)};
        if (put(parent->store, o) != Status::kOk) {
            return false;
        }
    }
    return true;
}

int run(const Deed& d) {
    SharedRegion zone(kZoneBytes);
    SharedRegion server(sizeof(Server));
    return at_each_point(
        d.name,
        [&](long k, bool* done) {
            World parent;
            if (!prepare(&parent, zone, server)) {
                give_up(d.name);
            }
            d.prepare(parent);
            *done = act(zone, server, d, k);
            const std::string e = d.witness(parent, *done);
            parent.store.leave();
            return e;
        },
        d.must_fail);
}

}  // namespace
}  // namespace slab_cache::test

int main(int argc, char** argv) {
    return slab_cache::test::run_deeds(slab_cache::test::kDeeds, slab_cache::test::run, argc, argv);
}
