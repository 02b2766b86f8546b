// The zone itself as input: bytes of a populated zone are changed anywhere, then everything is done to it that workers
// do. Nothing may crash, hang or reach outside the mapping, which has guard pages on both sides.
//
// Input       byte 0: bit 0 recover() first, bit 1 the processes named in the zone are alive, bit 2 audit() in between; bits
//             3 to 5 equal to 2: the full zone (zone_world.h), any other value: the plain one.
//             Then changes of 6 bytes: where (u32; its top two bits choose the part of the zone), how, with what.
#include "fuzz/stored_head.h"
#include "fuzz/zone_world.h"

using namespace slab_cache;
using namespace slab_cache::test;

namespace {

volatile unsigned sink;

// We are 2 and 3; 1, who filled the zone, lives or not as the input says. Whoever else is named there is nonsense.
bool is_alive(const WorkerId& id, void* first_lives) {
    return (id.pid == 2 && id.start_time == 2) || (id.pid == 3 && id.start_time == 3) ||
           (id.pid == 1 && id.start_time == 1 && *static_cast<bool*>(first_lives));
}

// Most of the zone is bodies, which nobody interprets: three quarters of the changes go where the structure is.
uint64_t place(const Zone& zone, uint32_t where) {
    const uint32_t part = where >> 30;
    const uint64_t at = where & 0x3fffffffU;
    const auto* z = reinterpret_cast<const ZoneHeader*>(zone.pristine + kReserved);
    switch (part) {
    case 0:
        return at % zone.bytes;
    case 1:
        return zone.is_full && (at & 0x20000000U) != 0 ? z->user_offset + at % sizeof(Area)
                                                       : kReserved + at % sizeof(ZoneHeader);
    case 2:
        return z->shard_offset[0] + at % (96 * 1024);
    default:
        return z->shard_offset[0] + at % (zone.bytes - z->shard_offset[0]);
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

void read_facts(Store& store, const Pin& pin) {
    sink = Store::flags(pin) + Store::hits(pin) + Store::fill_cost_us(pin) + static_cast<unsigned>(Store::birth(pin)) +
           static_cast<unsigned>(Store::fresh_until(pin)) + static_cast<unsigned>(Store::stale_until(pin)) +
           static_cast<unsigned>(Store::body_length(pin)) + static_cast<unsigned>(Store::body_available(pin)) +
           static_cast<unsigned>(store.occupied_bytes(pin)) + (Store::is_complete(pin) ? 1 : 0);
    uint32_t count = 0;
    const uint64_t* selectors = Store::selectors(pin, &count);
    unsigned sum = sum_of(Store::key(pin)) + sum_of(Store::head(pin));
    for (uint32_t i = 0; i < count; i++) {
        sum += static_cast<unsigned>(selectors[i]);
    }
    sink = sum + static_cast<unsigned>(store.validity_of(selectors, count, Store::birth(pin)));
}

void read_body(Store& store, const Pin& pin) {
    unsigned sum = 0;
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
            __builtin_trap();  // a chain without end
        }
    }
    sink = sum;
}

void read_all(Store& store, const Pin& pin) {
    read_facts(store, pin);
    read_body(store, pin);
    // What the layer above does with it, whatever it is.
    sink = read_head(Store::head(pin)) + read_marker(Store::head(pin));
}

void look_up(Store& store) {
    for (int i = 0; i < kObjects; i++) {
        Pin pin;
        const std::string key = key_of(i);
        if (store.find(digest_of(static_cast<uint64_t>(i)), key, &pin) == Status::kOk) {
            if (Store::key(pin) != key) {
                __builtin_trap();  // an answer for another key
            }
            (void) store.validity(pin);
            store.touch(pin);
            Pin second = store.repin(pin);
            read_all(store, pin);
            (void) store.refresh(pin, kNow + 5, kNow + 6, store.birth_stamp());
            store.unpin(&pin);
            store.unpin(&second);
        }
    }
    uint64_t cursor = 0;
    for (int turn = 0; turn < 100; turn++) {
        store.visit(
            &cursor, 64, [](const Pin& pin, void* s) { read_all(*static_cast<Store*>(s), pin); }, &store);
        if (cursor == 0) {
            break;
        }
    }
}

// A fill that others read while it grows.
void stream(Store& store, Store& other, uint64_t number, const std::string& key) {
    WakeSet wake;
    Ticket mine, theirs;
    Writer writer;
    Pin pin, own;
    const Digest digest = digest_of(number);
    const LeaseAnswer answer = store.lease_acquire(digest, 20'000, 5000, &mine);
    if (answer == LeaseAnswer::kUnavailable) {
        return;
    }
    (void) other.lease_acquire(digest, 20'001, 5000, &theirs);
    (void) other.lease_watch(theirs, 20'001, 5000);
    if (begin(store, true, static_cast<int>(number), -1, key, &writer) == Status::kOk) {
        bool ok = store.append(&writer, std::string(3000, 'x'), kNow) == Status::kOk;
        store.lease_attach(mine, writer, &wake);
        own = store.pin_writer(writer);
        if (other.lease_pin(theirs, digest, key, &pin, 20'002) == Status::kOk) {
            read_all(other, pin);
        }
        ok = ok && store.append(&writer, std::string(30'000, 'y'), kNow) == Status::kOk;
        store.lease_progress(mine, 20'003, &wake);
        if (pin) {
            read_all(other, pin);
        }
        if (!ok || store.commit(&writer, kNow) != Status::kOk) {
            store.abort(&writer);
        }
    }
    store.lease_release(mine, LeaseState::kPublished, 0, &wake);
    (void) other.lease_watch(theirs, 20'004, 5000);
    other.unpin(&pin);
    store.unpin(&own);
}

// What a dead or silent process left: watched, joined, overtaken.
void take_over(Store& store, uint64_t number, const char* key) {
    WakeSet wake;
    Ticket ticket;
    Pin pin;
    for (const uint64_t now : {uint64_t{2000}, uint64_t{20'000}}) {
        if (store.lease_acquire(digest_of(number), now, 5000, &ticket) == LeaseAnswer::kUnavailable) {
            return;
        }
        (void) store.lease_watch(ticket, now, 5000);
        for (const uint64_t asked : {uint64_t{0}, now}) {
            if (store.lease_pin(ticket, digest_of(number), key, &pin, asked) == Status::kOk) {
                read_all(store, pin);
                store.unpin(&pin);
            }
        }
    }
    store.lease_release(ticket, LeaseState::kFailed, 1, &wake);
}

// As the layer above remembers patterns: under the purge's lock and counter.
void add_rule(PurgeSection* section, void* area) {
    (void) cache::add_glob(
        &static_cast<Area*>(area)->globs, {"host", "/new*", false}, section->seq(),
        [](Bytes host, bool, void* s) { static_cast<PurgeSection*>(s)->add(sum_of(host) | 1, PurgeMode::kSoft); },
        section);
}

void use_area(Store& store, Area* area) {
    if (area == nullptr) {
        return;
    }
    (void) cache::judge_globs(area->globs, {"host", "/3x.html", "a=b"}, 2);
    const uint64_t selector = selector_of(4);
    store.purge(&selector, 1, PurgeMode::kHard, add_rule, area);
    cache::publish_globs(&area->globs, store.purge_seq());
    cache::SketchRow row[40];
    for (uint64_t i = 0; i < 700; i += 7) {
        cache::sketch_add(&area->sketch, sample_of(i), kNow + 10, 5000);
        if (cache::sketch_find(&area->sketch, sample_of(i).fingerprint, 5000, row)) {
            sink = sum_of(row->text());
        }
    }
    const uint32_t n = cache::sketch_top(
        &area->sketch, 5000, [](const cache::SketchRow& r) { return r.weight; }, row, 40);
    for (uint32_t i = 0; i < n; i++) {
        sink = sum_of(row[i].text());
    }
}

// More than the zone holds, some of it used and some pinned, so that what lives must make room.
void fill_up(Store& store, bool is_full) {
    Pin pin[20];
    for (int i = 0; i < 160; i++) {
        put(store, is_full, 2000 + i, i % 16 == 0 ? 50'000 : 9'000);
        Pin& one = pin[i % 20];
        const std::string key = key_of(2000 + i - i % 3);
        store.unpin(&one);
        if (store.find(digest_of(static_cast<uint64_t>(2000 + i - i % 3)), key, &one) == Status::kOk) {
            store.touch(one);
        }
    }
    for (Pin& one : pin) {
        store.unpin(&one);
    }
    Writer writer;  // given up: one by us, one is left to leave()
    for (const int i : {2500, 2501}) {
        if (begin(store, is_full, i, -1, key_of(i), &writer) == Status::kOk) {
            (void) store.append(&writer, std::string(2000, 'z'), kNow);
        }
        if (i == 2500) {
            store.abort(&writer);
        }
    }
}

void change_things(Store& store, Store& other, bool is_full) {
    for (int i = 0; i < 40; i++) {
        put(store, is_full, 1000 + i, static_cast<size_t>(i) * 811);
        put(store, is_full, i * 3, 3000);
    }
    const uint64_t selectors[] = {selector_of(1), selector_of(2), selector_of(5)};
    store.purge(selectors, 3, PurgeMode::kHard);
    (void) store.remove(digest_of(9), key_of(9));
    (void) store.remove(digest_of(11));
    take_over(store, 500, "unfinished");
    take_over(other, kStreaming, kStreamingKey);
    stream(store, other, 600, "a stream");
    store.mark_set(digest_of(1), 3, kNow + 5);
    sink = store.mark_get(digest_of(1), kNow) + store.bump_uses(digest_of(1));
    WakeSet wake;
    store.reap(&wake);
    for (int i = 0; i < 20; i++) {
        store.sweep(kNow + 110, 30'000 + static_cast<uint64_t>(i) * 1000, 512);
    }
    store.count(3);
    sink = static_cast<unsigned>(store.counter_sum(3));
    store.age_holds();
    for (uint32_t i = 0; i < 300; i++) {
        sink = store.worker_at(i).pid;
    }
    fill_up(store, is_full);
    sink = static_cast<unsigned>(store.stats().entries + store.zone_id()) + store.worker_index() + store.secret()[0] +
           (store.joined() ? 1 : 0);
}

void work(Zone& zone, Store& store, Store& other, uint8_t mode) {
    look_up(store);
    change_things(store, other, zone.is_full);
    use_area(store, zone.area(store));
    if ((mode & 4) != 0) {
        (void) store.audit();
    }
    look_up(other);
    store.purge_all(PurgeMode::kHard);
    change_things(other, store, zone.is_full);
}

void use(Zone& zone, uint8_t mode) {
    Store store, other;
    bool alive = (mode & 2) != 0;
    if (store.attach(zone.base, zone.bytes, kReserved, zone.config) != Status::kOk) {
        return;
    }
    store.set_liveness(is_alive, &alive);
    if ((mode & 1) != 0 || store.is_unclean()) {
        store.recover();
    }
    store.set_unclean(true);
    if (store.join({2, 2}) == Status::kOk &&
        other.attach(zone.base, zone.bytes, kReserved, zone.config) == Status::kOk) {
        other.set_liveness(is_alive, &alive);
        if (other.join({3, 3}) == Status::kOk) {
            work(zone, store, other, mode);
        }
        other.leave();
    }
    store.leave();
    store.recover();
    (void) store.audit();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Zone plain = make_zone(false);
    static Zone full = make_zone(true);
    if (size < 1 || size > 1024) {
        return 0;
    }
    Zone& zone = (data[0] >> 3 & 7) == 2 ? full : plain;
    std::memcpy(zone.base, zone.pristine, zone.bytes);
    change(zone, data + 1, size - 1);
    use(zone, data[0]);
    return 0;
}
