// Checks every invariant of a zone that lies in a file which no process uses: audit FILE [recover]
// With `recover` the zone is repaired first, in private memory, as after an unclean stop; the file stays as it is.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>

#include "shm/layout.h"
#include "shm/store.h"

using namespace slab_cache::shm;

namespace {

constexpr uint32_t kReserved = 4096;  // ngx/zone/zone.h

// What the configuration said is in the header: the file is audited under its own.
Config config_of(const ZoneHeader& z) {
    Config config;
    config.max_object = z.config_max_object;
    config.objects = z.config_objects;
    config.purge_records = z.config_purge_records;
    config.workers = z.config_workers;
    config.user_bytes = z.config_user_bytes;
    config.eviction = static_cast<Eviction>(z.config_eviction);
    return config;
}

int complain(const char* what) {
    std::printf("audit: %s\n", what);
    return 2;
}

double ms_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        return complain("which file?");
    }
    const int fd = open(argv[1], O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < 1 << 20) {
        return complain("no such zone");
    }
    const auto size = static_cast<size_t>(st.st_size);
    void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) {
        return complain("it cannot be mapped");
    }
    const auto* z = reinterpret_cast<const ZoneHeader*>(static_cast<const char*>(base) + kReserved);
    Store store;
    if (store.attach(base, size, kReserved, config_of(*z)) != Status::kOk) {
        return complain("it has another layout");
    }
    const bool unclean = store.is_unclean();
    if (argc > 2 && std::strcmp(argv[2], "recover") == 0) {
        const auto start = std::chrono::steady_clock::now();
        store.recover();
        std::printf("repaired in %.1f ms; ", ms_since(start));
    }
    const Audit audit = store.audit();
    const Stats s = store.stats();
    std::printf(
        "%s, %llu violations, %llu entries, used %llu, live %llu, retired %llu, filling %llu, pins %llu%s%s%s\n",
        audit.clean ? "clean" : "NOT CLEAN", static_cast<unsigned long long>(audit.violations),
        static_cast<unsigned long long>(audit.entries), static_cast<unsigned long long>(s.used_bytes),
        static_cast<unsigned long long>(s.live_bytes), static_cast<unsigned long long>(s.retired_bytes),
        static_cast<unsigned long long>(s.filling_bytes), static_cast<unsigned long long>(s.pins),
        unclean ? ", marked unclean" : "", audit.violations != 0 ? ": " : "", audit.first);
    return audit.clean ? 0 : 1;
}
