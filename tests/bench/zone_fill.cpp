// Fills a zone file that no nginx uses with objects as the module stores them: zone_fill FILE AUTHORITY OBJECTS [TAGS BODY_BYTES]
// Object i is http://AUTHORITY/object/i, fresh for a day; its tag k is "k-(i mod 10^(k mod 6 + 1))": tag "0-3" is on a tenth of all.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "cache/stored_head.h"
#include "cache/key.h"
#include "http/date.h"
#include "http/freshness.h"
#include "http/reuse.h"
#include "shm/layout.h"
#include "shm/store.h"
#include "shm/worker.h"

using namespace slab_cache;

namespace {

constexpr uint32_t kReserved = 4096;  // ngx/zone/zone.h

int complain(const char* what) {
    std::printf("zone_fill: %s\n", what);
    return 2;
}

shm::Config config_of(const shm::ZoneHeader& z) {
    shm::Config config;
    config.max_object = z.config_max_object;
    config.objects = z.config_objects;
    config.purge_records = z.config_purge_records;
    config.workers = z.config_workers;
    config.user_bytes = z.config_user_bytes;
    config.eviction = static_cast<shm::Eviction>(z.config_eviction);
    return config;
}

bool open_zone(const char* path, shm::Store* store) {
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < 1 << 20) {
        return false;
    }
    const auto size = static_cast<size_t>(st.st_size);
    void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        return false;
    }
    const auto* z = reinterpret_cast<const shm::ZoneHeader*>(static_cast<const char*>(base) + kReserved);
    shm::WorkerId self{static_cast<uint32_t>(getpid()), 0};
    return store->attach(base, size, kReserved, config_of(*z)) == shm::Status::kOk &&
           shm::read_start_time(self.pid, &self.start_time) && store->join(self) == shm::Status::kOk;
}

// Of all locations that have a slab_cache_key (ngx/conf/location_identity.h).
constexpr uint64_t kExplicitIdentity = 1;

// What all objects have in common, and the buffers that one after the other is made in.
struct Source {
    shm::Store* store;
    std::string authority, host, body;
    uint64_t tags;
    char head[512], key[512];
    size_t head_bytes = 0;
    http::StoredFacts facts = {};
    int64_t now;

    bool make_head() {
        char date[http::kDateBytes];
        http::format_date(now, date);
        const http::Field line[] = {{"Content-Type", "text/plain"},
                                    {"Cache-Control", "max-age=86400"},
                                    {"Date", {date, sizeof(date)}},
                                    {"ETag", "\"5e1f-62a1b2c3\""}};
        const http::Response response{200, {line, 4}, now, now};
        facts = http::facts_of(response, http::evaluate_freshness(response, {}, 0));
        cache::HeadBuilder builder(head, sizeof(head));
        for (const http::Field& f : line) {
            builder.add(f.name, f.value);
        }
        const bool ok = builder.finish(200, -1, facts);
        head_bytes = builder.head().size();
        return ok;
    }

    uint32_t select(const std::string& path, uint64_t i, uint64_t* out) const {
        out[0] = kExplicitIdentity;
        uint32_t n = 1 + cache::url_selectors({host, path, {}}, store->secret(), out + 1, cache::kMaxUrlSelectors);
        uint64_t each[] = {10, 100, 1000, 10000, 100000, 1000000};
        for (uint64_t k = 0; k < tags; k++) {
            const std::string tag = std::to_string(k) + "-" + std::to_string(i % each[k % 6]);
            out[n++] = cache::tag_selector(tag, store->secret());
        }
        return n;
    }

    shm::Status put(uint64_t i) {
        const std::string path = "/object/" + std::to_string(i);
        uint64_t selector[shm::kMaxSelectors];
        cache::KeyBuilder builder(key, sizeof(key));
        builder.add("http");
        builder.add(authority);
        builder.add(path);
        shm::NewEntry what;
        what.key = builder.key();
        what.digest = cache::digest(what.key, store->secret());
        what.head = {head, head_bytes};
        what.selectors = selector;
        what.selector_count = select(path, i, selector);
        what.birth = store->birth_stamp();
        what.fresh_until_sec = facts.fresh_until;
        what.stale_until_sec = http::useful_until(facts);
        what.body_bytes = static_cast<int64_t>(body.size());
        shm::Writer writer;
        shm::Status status = store->begin(what, now, &writer);
        if (status == shm::Status::kOk) {
            status = store->append(&writer, body, now);
        }
        if (status == shm::Status::kOk) {
            status = store->commit(&writer, now);
        }
        store->abort(&writer);
        return status;
    }
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        return complain("FILE AUTHORITY OBJECTS [TAGS BODY_BYTES]");
    }
    shm::Store store;
    if (!open_zone(argv[1], &store)) {
        return complain("no such zone");
    }
    Source source = {};
    source.store = &store;
    source.authority = argv[2];
    source.host = source.authority.substr(0, source.authority.rfind(':'));
    source.tags = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 10;
    source.body.assign(argc > 5 ? std::strtoull(argv[5], nullptr, 10) : 512, 'x');
    source.now = std::time(nullptr);
    const uint64_t objects = std::strtoull(argv[3], nullptr, 10);
    if (source.tags > 100 || !source.make_head()) {
        return complain("too much for one object");
    }
    for (uint64_t i = 0; i < objects; i++) {
        if (source.put(i) != shm::Status::kOk) {
            return complain("a store failed");
        }
    }
    const shm::Stats s = store.stats();
    store.leave();
    std::printf("%llu objects in %llu MB\n", static_cast<unsigned long long>(s.entries),
                static_cast<unsigned long long>(s.used_bytes >> 20));
    return s.entries == objects ? 0 : 1;
}
