// tests/support/zone_fixture.h — a zone in anonymous shared memory, handles to it, and objects to put in.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "shm/store.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace slab_cache::test {

using shm::Digest;
using shm::Status;
using shm::Store;

inline constexpr uint8_t kSeed[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
inline constexpr int64_t kNow = 1'800'000'000;

// MAP_SHARED, so that forked children see it too.
class SharedRegion {
public:
    explicit SharedRegion(size_t bytes) : bytes_(bytes) {
        base_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (base_ == MAP_FAILED) {
            std::abort();
        }
    }
    ~SharedRegion() { munmap(base_, bytes_); }
    SharedRegion(const SharedRegion&) = delete;
    SharedRegion& operator=(const SharedRegion&) = delete;
    void* base() const { return base_; }
    size_t bytes() const { return bytes_; }

private:
    void* base_;
    size_t bytes_;
};

// Identities that a test can declare dead.
struct Lives {
    std::atomic<bool> dead[256] = {};
    static bool ask(const shm::WorkerId& id, void* context) {
        return !static_cast<Lives*>(context)->dead[id.pid % 256];
    }
};

inline Digest digest_of(const std::string& key) {
    uint64_t a = 0xcbf29ce484222325ULL;
    for (const char c : key) {
        a = (a ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
    }
    return {base::mix64(a), base::mix64(a ^ 0x5bd1e995)};
}

inline uint64_t fingerprint(const std::string& what) { return base::mix64(digest_of(what).hi ^ 77); }

struct Object {
    std::string key, head = "HTTP/1.1 200\r\nContent-Type: text/html\r\n";
    std::string body;
    std::vector<uint64_t> selectors;
    uint64_t birth = 0;  // 0: now
    int64_t fresh = kNow + 60, stale = kNow + 3600;
    bool known_length = true;
};

inline shm::NewEntry describe(const Object& o, uint64_t birth) {
    shm::NewEntry e;
    e.digest = digest_of(o.key);
    e.key = o.key;
    e.head = o.head;
    e.selectors = o.selectors.data();
    e.selector_count = static_cast<uint32_t>(o.selectors.size());
    e.birth = o.birth != 0 ? o.birth : birth;
    e.fresh_until_sec = o.fresh;
    e.stale_until_sec = o.stale;
    e.body_bytes = o.known_length ? static_cast<int64_t>(o.body.size()) : -1;
    e.fill_cost_us = 1500;
    e.flags = 7;
    return e;
}

// begin, append in pieces, commit; aborts where one of them fails.
inline Status put(Store& store, const Object& o, size_t piece = 5000) {
    shm::Writer w;
    if (const Status s = store.begin(describe(o, store.birth_stamp()), kNow, &w); s != Status::kOk) {
        return s;
    }
    for (size_t at = 0; at < o.body.size(); at += piece) {
        const size_t n = std::min(piece, o.body.size() - at);
        if (const Status s = store.append(&w, {o.body.data() + at, n}, kNow); s != Status::kOk) {
            store.abort(&w);
            return s;
        }
    }
    const Status s = store.commit(&w, kNow);
    store.abort(&w);
    return s;
}

inline Status put(Store& store, const std::string& key, const std::string& body) {
    Object o;
    o.key = key;
    o.body = body;
    return put(store, o);
}

inline std::string read_body(const Store& store, const shm::Pin& pin, uint32_t cap = 3) {
    std::string out;
    uint64_t cursor = 0;
    const uint64_t available = Store::body_available(pin);
    while (out.size() < available) {
        shm::Segment seg[8];
        const uint32_t n = store.segments(pin, out.size(), &cursor, seg, cap);
        for (uint32_t i = 0; i < n; i++) {
            out.append(seg[i].data, seg[i].len);
        }
        if (n == 0) {
            break;
        }
    }
    return out;
}

// The body stored under key; "<miss>" where there is none, "<purged>" where it is no longer valid.
inline std::string get(Store& store, const std::string& key) {
    shm::Pin pin;
    if (store.find(digest_of(key), key, &pin) != Status::kOk) {
        return "<miss>";
    }
    const std::string body = store.validity(pin) == shm::Validity::kPurged ? "<purged>" : read_body(store, pin);
    store.unpin(&pin);
    return body;
}

// A body that says whose it is at every place.
inline std::string pattern(size_t bytes, uint32_t seed) {
    std::string s(bytes, '\0');
    uint32_t x = seed * 2654435761U + 12345;
    for (size_t i = 0; i < bytes; i++) {
        x = base::next_random(x == 0 ? 1 : x);
        s[i] = static_cast<char>(x >> 11);
    }
    return s;
}

// A zone with one joined handle and as many further ones as the test wants, each with an identity of its own.
class Zone {
public:
    explicit Zone(size_t bytes = 4 << 20, shm::Config config = {}, uint32_t reserved = 0)
        : region(bytes), config_(config), reserved_(reserved) {
        status = store.create(region.base(), bytes, reserved, config, kSeed);
        if (status == Status::kOk) {
            join(store, 1);
        }
    }

    void join(Store& s, uint32_t pid) {
        s.set_liveness(&Lives::ask, &lives);
#if defined(__SANITIZE_ADDRESS__)
        // Tests let processes die: what those had of their own dies with them, as memory of a process does.
        __lsan_disable();
#endif
        status = s.join({pid, 1000 + pid});
#if defined(__SANITIZE_ADDRESS__)
        __lsan_enable();
#endif
    }

    std::unique_ptr<Store> attach(uint32_t pid) {
        auto s = std::make_unique<Store>();
        status = s->attach(region.base(), region.bytes(), reserved_, config_);
        if (status == Status::kOk) {
            join(*s, pid);
        }
        return s;
    }

    SharedRegion region;
    Lives lives;
    Store store;
    Status status;

private:
    shm::Config config_;
    uint32_t reserved_;
};

}  // namespace slab_cache::test
