// The zone itself as input: bytes of a populated zone are changed anywhere, then everything is done to it that a worker
// does. Nothing may crash, hang or reach outside the mapping, which has guard pages on both sides.
//
// Input       byte 0: bit 0 recover() first, bit 1 the processes named in the zone are alive, bit 2 audit() in between.
//             Then changes of 6 bytes: where (u32; its top two bits choose the part of the zone), how, with what.
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "shm/layout.h"
#include "shm/store.h"

using namespace slab_cache::shm;

namespace {

constexpr uint32_t kReserved = 4096;
constexpr size_t kGuardBytes = size_t{256} << 20;
constexpr int64_t kNow = 1'800'000'000;
constexpr int kObjects = 120;
constexpr uint8_t kSeed[16] = {1, 2, 3, 4, 5, 6, 7, 8};

struct Zone {
    char* base = nullptr;
    char* pristine = nullptr;
    uint64_t bytes = 0;
    Config config;
};

volatile unsigned sink;

// We are 2; 1, who filled the zone, lives or not as the input says. Whoever else is named there is nonsense.
bool is_alive(const WorkerId& id, void* first_lives) {
    return (id.pid == 2 && id.start_time == 2)
           || (id.pid == 1 && id.start_time == 1 && *static_cast<bool*>(first_lives));
}

std::string key_of(int i) { return "key/" + std::to_string(i); }
Digest digest_of(int i) {
    return {static_cast<uint64_t>(i + 1) * 0x9e3779b97f4a7c15ULL, static_cast<uint64_t>(i + 7) * 0xc2b2ae3d27d4eb4fULL};
}
uint64_t selector_of(int i) { return 0x1234567 + static_cast<uint64_t>(i % 10); }

void put(Store& store, int i, size_t body_bytes) {
    const std::string key = key_of(i);
    const std::string body(body_bytes, static_cast<char>('a' + i % 26));
    const uint64_t selectors[] = {selector_of(i), selector_of(i + 1)};
    NewEntry what;
    what.digest = digest_of(i);
    what.key = key;
    what.head = "head of the object";
    what.selectors = selectors;
    what.selector_count = 2;
    what.birth = store.birth_stamp();
    what.fresh_until_sec = what.stale_until_sec = kNow + 100 + i;
    what.body_bytes = i % 2 == 0 ? static_cast<int64_t>(body_bytes) : -1;
    Writer writer;
    if (store.begin(what, kNow, &writer) != Status::kOk) {
        return;
    }
    bool ok = true;
    for (size_t at = 0; at < body.size() && ok; at += 5000) {
        ok = store.append(&writer, std::string_view(body).substr(at, 5000), kNow) == Status::kOk;
    }
    if (!ok || store.commit(&writer, kNow) != Status::kOk) {
        store.abort(&writer);
    }
}

void populate(Zone* zone) {
    static Store store;   // never leaves, as who is killed
    if (store.create(zone->base, zone->bytes, kReserved, zone->config, kSeed) != Status::kOk
        || store.join({1, 1}) != Status::kOk) {
        std::abort();
    }
    for (int i = 0; i < kObjects; i++) {
        put(store, i, static_cast<size_t>(i) * 397 % 20'000);
    }
    const uint64_t gone[] = {selector_of(3)};
    store.purge(gone, 1, PurgeMode::kSoft);
    Ticket ticket;   // a lease and an unfinished fill of a process that is dead by the time of the test
    (void) store.lease_acquire(digest_of(500), 1000, 5000, &ticket);
    NewEntry what;
    what.digest = digest_of(500);
    what.key = "unfinished";
    what.birth = store.birth_stamp();
    Writer writer;
    if (store.begin(what, kNow, &writer) == Status::kOk) {
        (void) store.append(&writer, "part of a body", kNow);
    }
}

Zone make_zone() {
    Zone zone;
    zone.config.workers = 1;
    zone.config.max_object = 64 * 1024;
    zone.config.objects = 500;
    zone.bytes = (Store::min_bytes(zone.config) + (size_t{1} << 20) + 0xffff) & ~uint64_t{0xffff};
    char* all = static_cast<char*>(mmap(nullptr, zone.bytes + 2 * kGuardBytes, PROT_NONE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (all == MAP_FAILED || mprotect(all + kGuardBytes, zone.bytes, PROT_READ | PROT_WRITE) != 0) {
        std::abort();
    }
    zone.base = all + kGuardBytes;
    populate(&zone);
    zone.pristine = static_cast<char*>(std::malloc(zone.bytes));
    std::memcpy(zone.pristine, zone.base, zone.bytes);
    return zone;
}

// Most of the zone is bodies, which nobody interprets: three quarters of the changes go where the structure is.
uint64_t place(const Zone& zone, uint32_t where) {
    const uint32_t part = where >> 30;
    const uint64_t at = where & 0x3fffffffU;
    const auto* z = reinterpret_cast<const ZoneHeader*>(zone.pristine + kReserved);
    switch (part) {
    case 0: return at % zone.bytes;
    case 1: return kReserved + at % sizeof(ZoneHeader);
    case 2: return z->shard_offset[0] + at % (96 * 1024);
    default: return z->shard_offset[0] + at % (zone.bytes - z->shard_offset[0]);
    }
}

void change(Zone& zone, const uint8_t* data, size_t size) {
    for (; size >= 6; data += 6, size -= 6) {
        uint32_t where;
        std::memcpy(&where, data, 4);
        uint64_t at = place(zone, where);
        const uint8_t how = data[4] % 4;
        if (how == 0) {
            zone.base[at] = static_cast<char>(zone.base[at] ^ (data[5] | 1));
            continue;
        }
        at &= ~uint64_t{7};
        uint64_t word;
        std::memcpy(&word, zone.base + at, 8);
        word = how == 1 ? data[5] : how == 2 ? ~uint64_t{0} << (data[5] % 64) : word + data[5];
        std::memcpy(zone.base + at, &word, 8);
    }
}

void read_all(Store& store, const Pin& pin) {
    unsigned sum = 0;
    for (const Bytes part : {Store::key(pin), Store::head(pin)}) {
        for (char c : part) {
            sum += static_cast<unsigned char>(c);
        }
    }
    uint32_t count = 0;
    const uint64_t* selectors = Store::selectors(pin, &count);
    for (uint32_t i = 0; i < count; i++) {
        sum += static_cast<unsigned>(selectors[i]);
    }
    uint64_t cursor = 0, offset = 0;
    Segment segment[16];
    while (const uint32_t n = store.segments(pin, offset, &cursor, segment, 16)) {
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t k = 0; k < segment[i].len; k += 64) {
                sum += static_cast<unsigned char>(segment[i].data[k]);
            }
            sum += static_cast<unsigned char>(segment[i].data[segment[i].len - 1]);
            offset += segment[i].len;
        }
        if (offset > uint64_t{1} << 30) {
            __builtin_trap();   // a chain without end
        }
    }
    sink = sum + static_cast<unsigned>(store.occupied_bytes(pin));
}

void look_up(Store& store) {
    for (int i = 0; i < kObjects; i++) {
        Pin pin;
        const std::string key = key_of(i);
        if (store.find(digest_of(i), key, &pin) == Status::kOk) {
            if (Store::key(pin) != key) {
                __builtin_trap();   // an answer for another key
            }
            (void) store.validity(pin);
            store.touch(pin);
            read_all(store, pin);
            (void) store.refresh(pin, kNow + 5, kNow + 6, store.birth_stamp());
            store.unpin(&pin);
        }
    }
    uint64_t cursor = 0;
    for (int turn = 0; turn < 100; turn++) {
        store.visit(&cursor, 64, [](const Pin& pin, void* s) { read_all(*static_cast<Store*>(s), pin); }, &store);
        if (cursor == 0) {
            break;
        }
    }
}

void change_things(Store& store) {
    for (int i = 0; i < 40; i++) {
        put(store, 1000 + i, static_cast<size_t>(i) * 811);
        put(store, i * 3, 3000);
    }
    const uint64_t selectors[] = {selector_of(1), selector_of(2), selector_of(5)};
    store.purge(selectors, 3, PurgeMode::kHard);
    (void) store.remove(digest_of(9), key_of(9));
    (void) store.remove(digest_of(11));
    WakeSet wake;
    Ticket ticket;
    Pin pin;
    if (store.lease_acquire(digest_of(500), 20'000, 5000, &ticket) != LeaseAnswer::kUnavailable) {
        (void) store.lease_watch(ticket, 20'000, 5000);
        if (store.lease_pin(ticket, digest_of(500), "unfinished", &pin) == Status::kOk) {
            read_all(store, pin);
            store.unpin(&pin);
        }
        store.lease_release(ticket, LeaseState::kFailed, 1, &wake);
    }
    store.mark_set(digest_of(1), 3, kNow + 5);
    sink = store.mark_get(digest_of(1), kNow) + store.bump_uses(digest_of(1));
    store.reap();
    for (int i = 0; i < 20; i++) {
        store.sweep(kNow + 110, 30'000 + static_cast<uint64_t>(i) * 1000, 512);
    }
    sink = static_cast<unsigned>(store.stats().entries);
}

void use(Zone& zone, uint8_t mode) {
    Store store;
    bool alive = (mode & 2) != 0;
    if (store.attach(zone.base, zone.bytes, kReserved, zone.config) != Status::kOk) {
        return;
    }
    store.set_liveness(is_alive, &alive);
    if ((mode & 1) != 0) {
        store.recover();
    }
    if (store.join({2, 2}) == Status::kOk) {
        look_up(store);
        change_things(store);
        if ((mode & 4) != 0) {
            (void) store.audit();
        }
        look_up(store);
        store.purge_all(PurgeMode::kHard);
        change_things(store);
    }
    store.leave();
    store.recover();
    (void) store.audit();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Zone zone = make_zone();
    if (size < 1 || size > 1024) {
        return 0;
    }
    std::memcpy(zone.base, zone.pristine, zone.bytes);
    change(zone, data + 1, size - 1);
    use(zone, data[0]);
    return 0;
}
