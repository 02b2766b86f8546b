// tests/fuzz/zone_world.h — populated zones for zone_fuzz.cpp, between guard pages, each with a pristine copy.
//
// The plain one holds objects whose heads are any text. The full one holds what the module puts into a zone: heads of
// responses, markers, rules of globs and sketches in the user area, a fill that streams to others, an object that was removed
// while somebody reads it. They are two, since an input is a list of places: another layout gives it another meaning.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cache/stored_head.h"
#include "cache/globs.h"
#include "cache/sketch.h"
#include "cache/variant_marker.h"
#include "shm/layout.h"
#include "shm/store.h"

namespace slab_cache::test {

using namespace slab_cache::shm;

inline constexpr uint32_t kReserved = 4096;
inline constexpr size_t kGuardBytes = size_t{256} << 20;
inline constexpr int64_t kNow = 1'800'000'000;
inline constexpr int kObjects = 120;
inline constexpr uint8_t kSeed[16] = {1, 2, 3, 4, 5, 6, 7, 8};
inline constexpr uint64_t kStreaming = 501;  // the lease with a growing entry
inline constexpr const char* kStreamingKey = "streaming";

struct Area {
    cache::GlobTable globs;
    cache::Sketch sketch;
};

struct Zone {
    bool is_full = false;
    char* base = nullptr;
    char* pristine = nullptr;
    uint64_t bytes = 0;
    Config config;
    Area* area(Store& store) const { return is_full ? static_cast<Area*>(store.user_area()) : nullptr; }
};

inline std::string key_of(int i) { return "key/" + std::to_string(i); }
inline Digest digest_of(uint64_t i) { return {(i + 1) * 0x9e3779b97f4a7c15ULL, (i + 7) * 0xc2b2ae3d27d4eb4fULL}; }
inline uint64_t selector_of(int i) { return 0x1234567 + static_cast<uint64_t>(i % 10); }

// The head of a response, or of a marker where the number says so.
inline bool is_marker_number(int i) { return i % 5 == 4; }
inline std::string full_head(int i) {
    std::vector<char> buffer(1024);
    if (is_marker_number(i)) {
        cache::Marker marker;
        cache::Dropped dropped;
        const std::string spec = "accept-language, x-" + std::to_string(i);
        size_t n = cache::encode_marker(marker, spec, digest_of(static_cast<uint64_t>(i) - 1), 8, buffer.data(), 1024,
                                        &dropped);
        std::vector<char> more(1024);
        if (cache::decode_marker({buffer.data(), n}, &marker)) {
            n = cache::encode_marker(marker, "cookie", digest_of(static_cast<uint64_t>(i) + 1), 8, more.data(), 1024,
                                     &dropped);
        }
        return {more.data(), n};
    }
    cache::HeadBuilder builder(buffer.data(), buffer.size());
    builder.add("Content-Type", "text/html; charset=utf-8");
    builder.add("ETag", "\"" + std::to_string(i) + "\"");
    builder.add("X-Some-Name", "some value");
    const http::StoredFacts facts = {kNow + 60, kNow + 70, kNow + 80, kNow, kNow, 1, 200, 0};
    return builder.finish(200, kNow - 100, facts) ? std::string(builder.head()) : std::string();
}

inline Status begin(Store& store, bool is_full, int i, int64_t body_bytes, const std::string& key, Writer* writer) {
    const uint64_t selectors[] = {selector_of(i), selector_of(i + 1)};
    const std::string head = is_full ? full_head(i) : "head of the object";
    NewEntry what;
    what.digest = digest_of(static_cast<uint64_t>(i));
    what.key = key;
    what.head = head;
    what.selectors = selectors;
    what.selector_count = 2;
    what.birth = store.birth_stamp();
    what.fresh_until_sec = what.stale_until_sec = kNow + 100 + i;
    what.body_bytes = body_bytes;
    what.flags = is_full && is_marker_number(i) ? cache::kMarkerFlag : 0;
    return store.begin(what, kNow, writer);
}

inline void put(Store& store, bool is_full, int i, size_t body_bytes) {
    const std::string body(body_bytes, static_cast<char>('a' + i % 26));
    Writer writer;
    const int64_t announced = i % 2 == 0 ? static_cast<int64_t>(body_bytes) : -1;
    if (begin(store, is_full, i, announced, key_of(i), &writer) != Status::kOk) {
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

inline cache::Sample sample_of(uint64_t i) { return {digest_of(i).hi | 1, "host/some/route", 100 + i, 1, 3}; }

inline void populate_more(Zone* zone, Store& store) {
    Area* area = zone->area(store);
    for (uint64_t i = 1; i <= 6; i++) {
        const std::string pattern = "/" + std::to_string(i) + "*.html";
        cache::add_glob(
            &area->globs, {"host", pattern, i % 2 == 0}, i, [](Bytes, bool, void*) {}, nullptr);
    }
    cache::publish_globs(&area->globs, 6);
    for (uint64_t i = 0; i < 600; i++) {
        cache::sketch_add(&area->sketch, sample_of(i), kNow, 1000);
    }
    Ticket ticket;
    Writer writer;
    WakeSet wake;
    if (store.lease_acquire(digest_of(kStreaming), 1000, 5000, &ticket) == LeaseAnswer::kOwned &&
        begin(store, true, kStreaming, -1, kStreamingKey, &writer) == Status::kOk) {
        (void) store.append(&writer, std::string(9000, 's'), kNow);
        store.lease_attach(ticket, writer, &wake);
    }
    Pin pin;  // never unpinned: its entry stays retired
    if (store.find(digest_of(7), key_of(7), &pin) == Status::kOk) {
        (void) store.remove(digest_of(7), key_of(7));
    }
}

inline void populate(Zone* zone) {
    static Store of_plain, of_full;  // they never leave, as who is killed
    Store& store = zone->is_full ? of_full : of_plain;
    if (store.create(zone->base, zone->bytes, kReserved, zone->config, kSeed) != Status::kOk ||
        store.join({1, 1}) != Status::kOk) {
        std::abort();
    }
    for (int i = 0; i < kObjects; i++) {
        put(store, zone->is_full, i, static_cast<size_t>(i) * 397 % 20'000);
    }
    const uint64_t gone[] = {selector_of(3)};
    store.purge(gone, 1, PurgeMode::kSoft);
    Ticket ticket;  // a lease and an unfinished fill of a process that is dead by the time of the test
    (void) store.lease_acquire(digest_of(500), 1000, 5000, &ticket);
    NewEntry what;
    what.digest = digest_of(500);
    what.key = "unfinished";
    what.birth = store.birth_stamp();
    Writer writer;
    if (store.begin(what, kNow, &writer) == Status::kOk) {
        (void) store.append(&writer, "part of a body", kNow);
    }
    if (zone->is_full) {
        populate_more(zone, store);
    }
}

inline Zone make_zone(bool is_full) {
    Zone zone;
    zone.is_full = is_full;
    zone.config.workers = 1;
    zone.config.max_object = 64 * 1024;
    zone.config.objects = 500;
    zone.config.eviction = is_full ? Eviction::kBytes : Eviction::kHits;  // their queues differ
    zone.config.user_bytes = is_full ? sizeof(Area) : 0;
    zone.bytes = (Store::min_bytes(zone.config) + (size_t{1} << 20) + 0xffff) & ~uint64_t{0xffff};
    char* all = static_cast<char*>(
        mmap(nullptr, zone.bytes + 2 * kGuardBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (all == MAP_FAILED || mprotect(all + kGuardBytes, zone.bytes, PROT_READ | PROT_WRITE) != 0) {
        std::abort();
    }
    zone.base = all + kGuardBytes;
    populate(&zone);
    zone.pristine = static_cast<char*>(std::malloc(zone.bytes));
    std::memcpy(zone.pristine, zone.base, zone.bytes);
    return zone;
}

}  // namespace slab_cache::test
