#include "ngx/glue/ngx.h"

#include "ngx/zone/heritage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ngx/conf/conf.h"
#include "ngx/zone/succession.h"
#include "ngx/zone/zone.h"
#include "ngx/zone/zone_place.h"

namespace slab_cache::ngx {
namespace {

constexpr char kPrefix[] = "slab_cache:";
constexpr size_t kMostName = 200;  // of what a memfd may be called

// "slab_cache:<zone>"; false where that would be too long.
bool name_of(const Zone& zone, char* out) noexcept {
    if (sizeof(kPrefix) + zone.name.len > kMostName) {
        return false;
    }
    u_char* end = ngx_sprintf(reinterpret_cast<u_char*>(out), "%s%V", kPrefix, &zone.name);
    *end = '\0';
    return true;
}

constexpr Bytes kMemfd = "/memfd:";
constexpr Bytes kGone = " (deleted)";

// What the old binary handed on: of a memfd the name alone.
struct HandedOn {
    int fd;
    Bytes zone;
    Bytes path;
};

bool read_memfd(Bytes link, HandedOn* out) noexcept {
    if (!base::starts_with(link, kMemfd) || !base::starts_with(base::slice(link, kMemfd.size()), kPrefix)) {
        return false;
    }
    out->zone = base::slice(link, kMemfd.size() + sizeof(kPrefix) - 1);
    return true;
}

bool read_file(Bytes link, FileHeader* header, HandedOn* out) noexcept {
    struct stat st;
    if (fstat(out->fd, &st) == -1 || !S_ISREG(st.st_mode) || !read_header(out->fd, header)) {
        return false;
    }
    out->zone = zone_name(*header);
    out->path = link;
    return true;
}

// Calls fn(HandedOn) for each zone's memory that the next binary would get.
template <class Fn>
void each_handed_on(Fn fn) noexcept {
    DIR* list = opendir("/proc/self/fd");
    while (list != nullptr) {
        const dirent* entry = readdir(list);
        if (entry == nullptr) {
            closedir(list);
            return;
        }
        char target[NGX_MAX_PATH];
        const ssize_t n = readlinkat(dirfd(list), entry->d_name, target, sizeof(target));
        Bytes link(target, n > 0 ? static_cast<size_t>(n) : 0);
        link = base::ends_with(link, kGone) ? base::slice(link, 0, link.size() - kGone.size()) : link;
        FileHeader header;
        HandedOn one = {atoi(entry->d_name), {}, {}};
        if ((fcntl(one.fd, F_GETFD) & FD_CLOEXEC) == 0 && (read_memfd(link, &one) || read_file(link, &header, &one))) {
            fn(one);
        }
    }
}

bool is_first_cycle() noexcept { return ngx_inherited != 0 && earlier_conf() == nullptr && !ngx_test_config; }

// The old binary's memory of this zone; -1: there is none. By name, or, where it was renamed, by its file.
int find_inherited(const Zone& zone) noexcept {
    int by_name = -1;
    int by_path = -1;
    if (!is_first_cycle()) {
        return -1;
    }
    each_handed_on([&](const HandedOn& one) {
        if (one.fd == zone.memory - 1) {
            return;
        }
        by_name = one.zone == view(zone.name) ? one.fd : by_name;
        by_path = zone.file.path.len != 0 && one.path == view(zone.file.path) ? one.fd : by_path;
    });
    return by_name != -1 ? by_name : by_path;
}

size_t size_of(int fd) noexcept {
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size > 0 ? static_cast<size_t>(st.st_size) : 0;
}

void say_deaf(const Zone& zone, ngx_log_t* log, const char* why) noexcept {
    ngx_log_error(NGX_LOG_NOTICE, log, ngx_errno,
                  "slab_cache zone \"%V\": %s, a binary upgrade will not hear of its purges", &zone.name, why);
}

// A Zone that knows its memory and nothing else.
bool map_stand_in(const Zone& zone, int fd, Zone* old) noexcept {
    old->name = zone.name;
    old->size = size_of(fd);
    old->file.path = zone.name;  // not empty: its memory is file.addr
    old->file.fd = fd;
    void* addr = mmap(nullptr, old->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (addr == MAP_FAILED) {
        return false;
    }
    old->file.addr = addr;
    old->formatted = shm::Store::config_of(addr, old->size, kReservedBytes, &old->config) &&
                     old->store.attach(addr, old->size, kReservedBytes, old->config) == shm::Status::kOk;
    return old->formatted;
}

}  // namespace

void share_memory(Zone* zone, ngx_shm_zone_t* shm_zone) noexcept {
    char name[kMostName];
    if (ngx_test_config || !name_of(*zone, name)) {
        return;
    }
    const int fd = memfd_create(name, 0);  // handed on to the next binary, so not close-on-exec
    void* at = shm_zone->shm.addr;
    // nginx has put its own pool there, and nobody uses it yet.
    if (fd != -1 && ftruncate(fd, static_cast<off_t>(zone->size)) == 0 &&
        pwrite(fd, at, kReservedBytes, 0) == static_cast<ssize_t>(kReservedBytes) &&
        mmap(at, zone->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == at) {
        zone->memory = fd + 1;
        return;
    }
    say_deaf(*zone, shm_zone->shm.log, "no memfd");
    if (fd != -1) {
        close(fd);
    }
}

void keep_shared_memory(Zone* zone, const Zone& old) noexcept {
    const int fd = old.memory != 0 ? fcntl(old.memory - 1, F_DUPFD, 0) : -1;
    zone->memory = fd + 1;
}

void hand_on_file(Zone* zone, ngx_log_t* log) noexcept {
    char path[sizeof("/proc/self/fd/") + NGX_INT_T_LEN];
    *ngx_sprintf(reinterpret_cast<u_char*>(path), "/proc/self/fd/%d", zone->file.fd) = '\0';
    zone->memory = open(path, O_RDWR) + 1;
    if (zone->memory == 0) {
        say_deaf(*zone, log, "no /proc");
    }
}

void close_shared_memory(void* data) noexcept {
    auto* zone = static_cast<Zone*>(data);
    if (zone->memory != 0) {
        close(zone->memory - 1);
        zone->memory = 0;
    }
}

bool has_heritage(const Zone& zone) noexcept { return find_inherited(zone) != -1; }

bool is_inherited_elsewhere(const Zone& zone, dev_t device, ino_t inode) noexcept {
    const int fd = find_inherited(zone);
    struct stat st;
    return fd != -1 && (fstat(fd, &st) == -1 || st.st_dev != device || st.st_ino != inode);
}

bool open_inherited(const Zone& zone, Zone* old, ngx_log_t* log) noexcept {
    const int fd = find_inherited(zone);
    if (fd == -1) {
        return false;
    }
    if (!map_stand_in(zone, fd, old)) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "slab_cache zone \"%V\": the old nginx's has another layout: neither hears of the other's purges",
                      &zone.name);
        close_inherited(old);
        return false;
    }
    return true;
}

void close_inherited(Zone* old) noexcept {
    if (old->file.addr != nullptr) {
        munmap(old->file.addr, old->size);
        old->file.addr = nullptr;
    }
}

void drop_heritage(ngx_cycle_t* cycle) noexcept {
    if (!is_first_cycle() || cycle->conf_ctx[ngx_http_module.index] == nullptr) {
        return;
    }
    auto* mcf = static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_slab_cache_module));
    each_handed_on([&](const HandedOn& one) {
        for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
            if (static_cast<Zone**>(mcf->zones.elts)[i]->memory == one.fd + 1) {
                return;
            }
        }
        close(one.fd);
    });
}

}  // namespace slab_cache::ngx
