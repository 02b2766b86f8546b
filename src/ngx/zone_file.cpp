#include "ngx/ngx.h"

#include "ngx/zone_file.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/atom.h"
#include "ngx/conf.h"
#include "ngx/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr long kTmpfsMagic = 0x01021994;
constexpr long kHugetlbfsMagic = 0x958458f6;
constexpr uint64_t kFileMagic = 0x31656c6966626c73ull;   // "slbfile1"
constexpr size_t kBootBytes = 40;
constexpr int kLockTries = 40;                 // of 50 ms: a killed instance needs a moment to be gone
constexpr useconds_t kLockPauseUs = 50 * 1000;

struct FileHeader {
    uint64_t magic;
    uint64_t file_bytes;
    base::Atom<uint32_t> master;   // pid of the master whose worker spoke last (note_master)
    uint32_t padding;
    char boot[kBootBytes];         // /proc/sys/kernel/random/boot_id
};
static_assert(sizeof(FileHeader) == 64 && sizeof(FileHeader) <= kReservedBytes);

enum class Use : uint8_t {
    kAlone,     // nobody else has it: we hold the write lock
    kShared,    // with our parent or our own earlier cycle
    kOthers,    // somebody else's
    kUnknown,   // locks do not work here
};

FileHeader* header_of(const ZoneFile& f) noexcept { return static_cast<FileHeader*>(f.addr); }

void read_boot(char out[kBootBytes]) noexcept {
    ngx_memzero(out, kBootBytes);
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd != -1) {
        const ssize_t n = read(fd, out, kBootBytes - 1);
        if (n < 0) {
            ngx_memzero(out, kBootBytes);
        }
        close(fd);
    }
}

bool lock_file(int fd, short type) noexcept {
    struct flock lock;
    ngx_memzero(&lock, sizeof(lock));
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_len = 1;
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

void release(ZoneFile* f, size_t size) noexcept {
    if (f->addr != nullptr) {
        munmap(f->addr, size);
        f->addr = nullptr;
    }
    if (f->fd != -1) {
        close(f->fd);
        f->fd = -1;
    }
}

bool map(ZoneFile* f, size_t size) noexcept {
    void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
    f->addr = p != MAP_FAILED ? p : nullptr;
    return f->addr != nullptr;
}

// On hugetlbfs all pages are huge already.
void advise(const Zone& zone, ngx_log_t* log) noexcept {
    struct statfs fs;
    if (fstatfs(zone.file.fd, &fs) == 0 && (static_cast<long>(fs.f_type) & 0xffffffffL) == kTmpfsMagic) {
        advise_huge_pages(zone, zone.file.addr, log);
    }
}

// The configuration that is being replaced, in this very process, has the same file.
bool is_of_earlier_cycle(const ZoneFile& f) noexcept {
    MainConf* mcf = earlier_conf();
    for (ngx_uint_t i = 0; mcf != nullptr && i < mcf->zones.nelts; i++) {
        const ZoneFile& other = static_cast<Zone**>(mcf->zones.elts)[i]->file;
        if (other.fd != -1 && other.device == f.device && other.inode == f.inode) {
            return true;
        }
    }
    return false;
}

// In a binary upgrade the old master is our parent, and its workers have said so in the header.
bool is_of_parent(const ZoneFile& f, size_t size) noexcept {
    FileHeader header;
    if (ngx_inherited == 0 || size < sizeof(header)
        || pread(f.fd, &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header))) {
        return false;
    }
    return header.magic == kFileMagic && header.master.load_relaxed() == static_cast<uint32_t>(getppid());
}

Use who_uses(const ZoneFile& f, size_t size) noexcept {
    for (int i = 0; i < kLockTries; i++) {
        if (lock_file(f.fd, F_WRLCK)) {
            return Use::kAlone;
        }
        if (ngx_errno != NGX_EAGAIN && ngx_errno != NGX_EACCES) {
            return Use::kUnknown;
        }
        if (is_of_earlier_cycle(f) || is_of_parent(f, size)) {
            return Use::kShared;
        }
        usleep(kLockPauseUs);
    }
    return Use::kOthers;
}

// Everything about the file that can be told without its contents.
const char* why_not_ours(const struct stat& st, size_t size) noexcept {
    if (!S_ISREG(st.st_mode)) {
        return "it is not a regular file";
    }
    if (st.st_uid != geteuid()) {
        return "it belongs to somebody else";
    }
    if ((st.st_mode & 07777) != 0600) {
        return "its mode is not 0600";
    }
    return static_cast<size_t>(st.st_size) != size ? "its size is not the zone's" : nullptr;
}

const char* why_not_attached(Zone* zone, ngx_log_t* log) noexcept {
    if (!map(&zone->file, zone->size)) {
        return "it cannot be mapped";
    }
    advise(*zone, log);
    const FileHeader* header = header_of(zone->file);
    char boot[kBootBytes];
    read_boot(boot);
    if (header->magic != kFileMagic || header->file_bytes != zone->size) {
        return "it is not a slab_cache file, or was never finished";
    }
    if (ngx_memcmp(header->boot, boot, kBootBytes) != 0) {
        return "it is from another boot";
    }
    if (zone->store.attach(zone->file.addr, zone->size, kReservedBytes, zone->config) != shm::Status::kOk) {
        return "it has another layout";
    }
    return nullptr;
}

uint64_t clock_ms() noexcept {
    timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return static_cast<uint64_t>(ts.tv_sec) * 1000 + static_cast<uint64_t>(ts.tv_nsec) / 1000000;
}

void take(Zone* zone, Use use, ngx_log_t* log, uint64_t started_ms) noexcept {
    const bool repair = use == Use::kAlone && zone->store.is_unclean();
    if (repair) {
        zone->store.recover();
    }
    zone->store.set_unclean(true);
    (void) lock_file(zone->file.fd, F_RDLCK);
    zone->formatted = true;
    if (use == Use::kShared) {
        keep_priors(zone);
    }
    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "slab_cache zone \"%V\": %s \"%V\" with %uL objects in %uL ms%s", &zone->name,
                  use == Use::kShared ? "shares" : "goes on with", &zone->file.path,
                  zone->store.stats().entries, clock_ms() - started_ms,
                  repair ? ", repaired after an unclean stop" : "");
}

ngx_int_t refuse(Zone* zone, ngx_log_t* log) noexcept {
    FileHeader header;
    const bool known = pread(zone->file.fd, &header, sizeof(header), 0) == static_cast<ssize_t>(sizeof(header));
    ngx_log_error(NGX_LOG_EMERG, log, 0,
                  "slab_cache zone \"%V\": \"%V\" is in use by another nginx (master %uD)", &zone->name,
                  &zone->file.path, known ? header.master.load_relaxed() : 0);
    release(&zone->file, zone->size);
    return NGX_ERROR;
}

// The path's current file. NGX_OK: in use by us now; NGX_DECLINED: make a new one; NGX_ERROR: give up.
ngx_int_t use_existing(Zone* zone, ngx_log_t* log) noexcept {
    ZoneFile* f = &zone->file;
    const uint64_t started_ms = clock_ms();
    f->fd = open(reinterpret_cast<char*>(f->path.data), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (f->fd == -1 || fstat(f->fd, &st) == -1) {
        if (ngx_errno != NGX_ENOENT) {
            ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                          "slab_cache zone \"%V\": cannot open \"%V\", starting cold", &zone->name, &f->path);
        }
        release(f, zone->size);
        return NGX_DECLINED;
    }
    f->device = st.st_dev;
    f->inode = st.st_ino;
    const Use use = S_ISREG(st.st_mode) ? who_uses(*f, static_cast<size_t>(st.st_size)) : Use::kUnknown;
    if (use == Use::kOthers) {
        return refuse(zone, log);
    }
    const char* why = why_not_ours(st, zone->size);
    if (why == nullptr && use == Use::kAlone && is_elsewhere(*zone)) {
        why = "it lacks the purges of the zone that runs";
    }
    if (why == nullptr && use == Use::kUnknown) {
        why = "it cannot be locked";
    }
    if (why == nullptr) {
        why = why_not_attached(zone, log);
    }
    if (why != nullptr) {
        ngx_log_error(NGX_LOG_WARN, log, 0, "slab_cache zone \"%V\": \"%V\" cannot be used: %s; starting cold",
                      &zone->name, &f->path, why);
        release(f, zone->size);
        return NGX_DECLINED;
    }
    take(zone, use, log, started_ms);
    return NGX_OK;
}

bool format_file(Zone* zone, ngx_log_t* log) noexcept {
    uint8_t seed[16];
    if (RAND_bytes(seed, sizeof(seed)) != 1
        || zone->store.create(zone->file.addr, zone->size, kReservedBytes, zone->config, seed)
               != shm::Status::kOk) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "slab_cache zone \"%V\" cannot be formatted", &zone->name);
        return false;
    }
    FileHeader* header = header_of(zone->file);
    header->file_bytes = zone->size;
    header->master.store_relaxed(static_cast<uint32_t>(ngx_pid));   // relaxed: the file has no name yet
    read_boot(header->boot);
    zone->store.set_unclean(true);
    header->magic = kFileMagic;
    return true;
}

bool complain(Zone* zone, ngx_log_t* log, ngx_err_t err, const char* call, const char* path) noexcept {
    ngx_log_error(NGX_LOG_EMERG, log, err, "slab_cache zone \"%V\": %s \"%s\" failed", &zone->name, call, path);
    return false;
}

// All of its memory is reserved now: tmpfs that runs full would kill a worker by SIGBUS later.
bool make_file(Zone* zone, ngx_log_t* log, const char* name) noexcept {
    ZoneFile* f = &zone->file;
    (void) unlink(name);   // of an instance that died half-way, under our pid
    f->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat st;
    if (f->fd == -1 || fstat(f->fd, &st) == -1 || fchmod(f->fd, 0600) == -1) {
        return complain(zone, log, ngx_errno, "open()", name);
    }
    f->device = st.st_dev;
    f->inode = st.st_ino;
    if (const int err = posix_fallocate(f->fd, 0, static_cast<off_t>(zone->size)); err != 0) {
        return complain(zone, log, err, "fallocate()", name);
    }
    if (!map(f, zone->size)) {
        return complain(zone, log, ngx_errno, "mmap()", name);
    }
    advise(*zone, log);
    if (!lock_file(f->fd, F_RDLCK)) {
        return complain(zone, log, ngx_errno, "locking", name);
    }
    if (!format_file(zone, log)) {
        return false;
    }
    f->fresh = true;
    return true;
}

template <class Fn>
void each_zone(ngx_cycle_t* cycle, Fn fn) noexcept {
    if (cycle->conf_ctx[ngx_http_module.index] == nullptr) {
        return;
    }
    auto* mcf = static_cast<MainConf*>(
        ngx_http_cycle_get_module_main_conf(cycle, ngx_http_slab_cache_module));
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        fn(static_cast<Zone**>(mcf->zones.elts)[i], cycle->log);
    }
}

}  // namespace

const char* why_no_zone_file(const ngx_str_t& path, size_t size) noexcept {
    char directory[NGX_MAX_PATH];
    const size_t slash = view(path).rfind('/');
    if (slash == Bytes::npos || slash + 1 >= path.len || path.len + 32 >= sizeof(directory)) {
        return "it is not the path of a file";
    }
    const size_t n = slash == 0 ? 1 : slash;
    ngx_memcpy(directory, path.data, n);
    directory[n] = '\0';
    struct statfs fs;
    if (statfs(directory, &fs) == -1) {
        return "its directory cannot be looked at";
    }
    const long type = static_cast<long>(fs.f_type) & 0xffffffffL;
    if (type != kTmpfsMagic && type != kHugetlbfsMagic) {
        return "it is neither on tmpfs nor on hugetlbfs: a disk would be written to with every object";
    }
    if (size % static_cast<size_t>(fs.f_bsize) != 0) {
        return "the zone's size is not a multiple of its pages";
    }
    return nullptr;
}

ngx_int_t open_zone_file(Zone* zone, ngx_log_t* log) noexcept {
    if (ngx_test_config) {
        return NGX_OK;   // no side effects, and no claim on a file that a running nginx uses
    }
    const ngx_int_t rc = use_existing(zone, log);
    if (rc != NGX_DECLINED) {
        return rc;
    }
    char* name = zone->file.fresh_name;
    u_char* end =
        ngx_sprintf(reinterpret_cast<u_char*>(name), "%V.new.%P", &zone->file.path, ngx_pid);
    *end = '\0';
    if (!make_file(zone, log, name)) {
        (void) unlink(name);
        release(&zone->file, zone->size);
        return NGX_ERROR;
    }
    zone->formatted = true;
    ngx_log_error(NGX_LOG_NOTICE, log, 0, "slab_cache zone \"%V\": new file \"%V\"", &zone->name,
                  &zone->file.path);
    return take_over(zone, log);
}

void name_zone_files(ngx_cycle_t* cycle) noexcept {
    each_zone(cycle, [](Zone* zone, ngx_log_t* log) {
        ZoneFile* f = &zone->file;
        remove_left_file(*zone);
        if (!f->fresh) {
            return;
        }
        if (rename(f->fresh_name, reinterpret_cast<char*>(f->path.data)) == -1) {
            (void)complain(zone, log, ngx_errno, "rename()",
                           f->fresh_name);  // it works, and is gone with this nginx
            (void)unlink(f->fresh_name);
        }
        f->fresh = false;
    });
}

void close_zone_file(void* data) noexcept {
    auto* zone = static_cast<Zone*>(data);
    if (zone->file.fresh) {
        (void)unlink(zone->file.fresh_name);
        zone->file.fresh = false;
    }
    release(&zone->file, zone->size);
}

void note_master(Zone* zone) noexcept {
    if (zone->file.addr != nullptr) {
        const ngx_pid_t master = ngx_process == NGX_PROCESS_SINGLE ? ngx_pid : ngx_parent;
        // relaxed: a pid by itself, compared with another
        header_of(zone->file)->master.store_relaxed(static_cast<uint32_t>(master));
    }
}

void leave_zone_files(ngx_cycle_t* cycle) noexcept {
    each_zone(cycle, [](Zone* zone, ngx_log_t*) {
        if (zone->file.addr == nullptr || !lock_file(zone->file.fd, F_WRLCK)) {
            return;
        }
        give_back_priors(zone);   // a draining worker may have outlived those who would have heard of its purges
        if (!zone->store.is_following()) {
            zone->store.set_unclean(false);
        }
    });
}

}  // namespace slab_cache::ngx
