#include "ngx/glue/ngx.h"

#include "ngx/zone/zone_file.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ngx/conf/conf.h"
#include "ngx/zone/heritage.h"
#include "ngx/zone/zone.h"
#include "ngx/zone/zone_memory.h"
#include "ngx/zone/zone_place.h"
#include "shm/layout.h"
#include "shm/worker.h"

namespace slab_cache::ngx {
namespace {

constexpr int kLockTries = 40;  // of 50 ms: a killed instance needs a moment to be gone
constexpr useconds_t kLockPauseUs = 50 * 1000;

static_assert(sizeof(FileHeader) <= kReservedBytes);

enum class Use : uint8_t {
    kAlone,    // nobody else has it: we hold the write lock
    kShared,   // with our parent or our own earlier cycle
    kOrphans,  // workers have it whose master is gone
    kOthers,   // somebody else's
    kUnknown,  // locks do not work here
};

FileHeader* header_of(const ZoneFile& f) noexcept { return static_cast<FileHeader*>(f.addr); }

bool lock_file(int fd, short type) noexcept {
    struct flock lock;
    ngx_memzero(&lock, sizeof(lock));
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_len = 1;
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

void release(ZoneFile* f, size_t size) noexcept {
    unguard(&f->guarded);
    if (f->addr != nullptr) {
        munmap(f->addr, size);
        f->addr = nullptr;
    }
    if (f->fd != -1) {
        close(f->fd);
        f->fd = -1;
    }
}

bool map(Zone* zone) noexcept {
    ZoneFile* f = &zone->file;
    void* p = mmap(nullptr, zone->size, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
    if (p == MAP_FAILED) {
        return false;
    }
    f->addr = p;
    guard(&f->guarded, p, zone->size, &zone->store);
    return true;
}

// On hugetlbfs all pages are huge already.
void advise(const Zone& zone, ngx_log_t* log) noexcept {
    struct statfs fs;
    if (fstatfs(zone.file.fd, &fs) == 0 && (static_cast<long>(fs.f_type) & 0xffffffffL) == kTmpfsMagic) {
        advise_huge_pages(zone, zone.file.addr, log);
    }
}

// The configuration that is being replaced, in this very process, has the same file.
bool is_of_earlier_cycle(const struct stat& st) noexcept {
    MainConf* mcf = earlier_conf();
    for (ngx_uint_t i = 0; mcf != nullptr && i < mcf->zones.nelts; i++) {
        const ZoneFile& other = static_cast<Zone**>(mcf->zones.elts)[i]->file;
        if (other.fd != -1 && other.device == st.st_dev && other.inode == st.st_ino) {
            return true;
        }
    }
    return false;
}

// In a binary upgrade the old master is our parent, and its workers have said so in the header.
bool is_of_parent(int fd) noexcept {
    FileHeader header;
    return ngx_inherited != 0 && read_header(fd, &header) &&
           header.master.load_relaxed() == static_cast<uint32_t>(getppid());  // relaxed: a copy
}

// The master that had it is dead, for certain: what has it open are workers that go on draining. In another pid namespace a
// number says nothing.
bool is_of_orphans(int fd) noexcept {
    FileHeader header;
    char boot[kBootBytes];
    read_boot(boot);
    if (!read_header(fd, &header) || ngx_memcmp(header.boot, boot, kBootBytes) != 0) {
        return false;
    }
    const uint64_t space = header.pid_space.load_relaxed();  // relaxed, all of these: a copy
    const uint64_t born = header.master_start.load_relaxed();
    uint64_t start = 0;
    const shm::Life life = shm::look_at_process(header.master.load_relaxed(), &start);
    return space != 0 && space == pid_space() &&
           (life == shm::Life::kDead || (life == shm::Life::kAlive && born != 0 && born != start));
}

Use who_uses(int fd, const struct stat& st) noexcept {
    for (int i = 0; i < kLockTries; i++) {
        if (lock_file(fd, F_WRLCK)) {
            return Use::kAlone;
        }
        if (ngx_errno != NGX_EAGAIN && ngx_errno != NGX_EACCES) {
            return Use::kUnknown;
        }
        if (is_of_earlier_cycle(st) || is_of_parent(fd)) {
            return Use::kShared;
        }
        usleep(kLockPauseUs);
    }
    return is_of_orphans(fd) ? Use::kOrphans : Use::kOthers;
}

// It may have been cut and made longer again: pages that are not there are asked for now, not when one is written.
const char* why_not_whole(const struct stat& st, const ZoneFile& f) noexcept {
    return static_cast<uint64_t>(st.st_blocks) * 512 >= static_cast<uint64_t>(st.st_size) ||
                   posix_fallocate(f.fd, 0, st.st_size) == 0
               ? nullptr
               : "parts of it are missing, and there is no space for them";
}

const char* why_not_attached(Zone* zone, ngx_log_t* log) noexcept {
    if (!map(zone)) {
        return "it cannot be mapped";
    }
    advise(*zone, log);
    const FileHeader* header = header_of(zone->file);
    char boot[kBootBytes];
    read_boot(boot);
    if (header->magic != kFileMagic || header->file_bytes != zone->size) {
        return "it was never finished, or was written over";
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

// Who its master is, for those who come while it runs.
void claim(const Zone& zone, uint32_t master) noexcept {
    FileHeader* header = header_of(zone.file);
    uint64_t start = 0;
    // relaxed, all of these: figures by themselves, compared with others
    header->master_start.store_relaxed(shm::read_start_time(master, &start) ? start : 0);
    header->master.store_relaxed(master);
    header->pid_space.store_relaxed(pid_space());
}

const char* words_for(Use use) noexcept {
    return use == Use::kShared    ? "shares"
           : use == Use::kOrphans ? "shares, with workers that outlived their master,"
                                  : "goes on with";
}

void take(Zone* zone, Use use, ngx_log_t* log, uint64_t started_ms) noexcept {
    const bool repair = use == Use::kAlone && zone->store.is_unclean();
    if (repair) {
        zone->store.recover();
    }
    if (use != Use::kShared) {
        claim(*zone, static_cast<uint32_t>(ngx_pid));
    }
    if (use == Use::kOrphans && zone->store.is_following()) {
        zone->store.purge_all(shm::PurgeMode::kHard);  // what is purged in the zone before this one reaches nobody here
    }
    zone->store.set_unclean(true);
    (void) lock_file(zone->file.fd, F_RDLCK);
    set_zone_name(header_of(zone->file), view(zone->name));
    hand_on_file(zone, log);
    zone->formatted = true;
    if (use == Use::kShared) {
        keep_priors(zone);
    }
    ngx_log_error(
        NGX_LOG_NOTICE, log, 0, "slab_cache zone \"%V\": %s, layout %uD, %s \"%V\" with %uL objects in %uL ms%s",
        &zone->name, size_text(zone->size).text, shm::kLayoutVersion, words_for(use), &zone->file.path,
        zone->store.stats().entries, clock_ms() - started_ms, repair ? ", repaired after an unclean stop" : "");
}

ngx_int_t refuse_used(Zone* zone, ngx_log_t* log) noexcept {
    FileHeader header;
    const bool known = read_header(zone->file.fd, &header);
    const uint64_t space = known ? header.pid_space.load_relaxed() : 0;
    ngx_log_error(NGX_LOG_EMERG, log, 0, "slab_cache zone \"%V\": \"%V\" is in use by another nginx (master %uD%s)",
                  &zone->name, &zone->file.path, known ? header.master.load_relaxed() : 0,
                  space != 0 && space != pid_space() ? " in another pid namespace" : "");
    release(&zone->file, zone->size);
    return NGX_ERROR;
}

ngx_int_t refuse(Zone* zone, ngx_log_t* log, ngx_err_t err, const char* why) noexcept {
    ngx_log_error(NGX_LOG_EMERG, log, err, "slab_cache zone \"%V\" cannot have the file \"%V\": %s", &zone->name,
                  &zone->file.path, why);
    release(&zone->file, zone->size);
    return NGX_ERROR;
}

ngx_int_t open_existing(Zone* zone, ngx_log_t* log, struct stat* st) noexcept {
    ZoneFile* f = &zone->file;
    f->fd = open(reinterpret_cast<char*>(f->path.data), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (f->fd == -1 || fstat(f->fd, st) == -1) {
        if (f->fd == -1 && ngx_errno == NGX_ENOENT) {
            return NGX_DECLINED;
        }
        return refuse(zone, log, ngx_errno, "it cannot be opened");
    }
    f->device = st->st_dev;
    f->inode = st->st_ino;
    f->replaced_device = st->st_dev;
    f->replaced_inode = st->st_ino;
    if (const char* why = why_foreign(f->fd, *st, is_of_earlier_cycle(*st))) {
        return refuse(zone, log, 0, why);  // before its lock is looked at, which may be anybody's
    }
    return NGX_OK;
}

// The path's current file. NGX_OK: in use by us now; NGX_DECLINED: make a new one; NGX_ERROR: give up.
ngx_int_t use_existing(Zone* zone, ngx_log_t* log) noexcept {
    ZoneFile* f = &zone->file;
    const uint64_t started_ms = clock_ms();
    struct stat st;
    if (const ngx_int_t rc = open_existing(zone, log, &st); rc != NGX_OK) {
        return rc;
    }
    const char* why = (st.st_mode & 07777) != 0600 ? "its mode is not 0600" : nullptr;
    const Use use = why == nullptr ? who_uses(f->fd, st) : Use::kUnknown;  // others may lock what others may open
    if (use == Use::kOthers) {
        return refuse_used(zone, log);
    }
    if (why == nullptr && static_cast<size_t>(st.st_size) != zone->size) {
        why = "its size is not the zone's";
    }
    if (why == nullptr && use != Use::kShared && is_elsewhere(*zone)) {
        why = "it lacks the purges of the zone that runs";
    }
    if (why == nullptr && use == Use::kUnknown) {
        why = "it cannot be locked";
    }
    if (why == nullptr) {
        why = why_not_whole(st, *f);
    }
    if (why == nullptr) {
        why = why_not_attached(zone, log);
    }
    if (why != nullptr) {
        // At a reload, and in a binary upgrade, the zone that runs hands its objects on.
        const bool warm = has_predecessor(*zone) || has_heritage(*zone);
        const ngx_uint_t level = warm ? NGX_LOG_NOTICE : NGX_LOG_WARN;
        ngx_log_error(level, log, 0, "slab_cache zone \"%V\": \"%V\" cannot be used: %s%s", &zone->name, &f->path, why,
                      warm ? ", a new one is made" : "; starting cold");
        release(f, zone->size);
        return NGX_DECLINED;
    }
    take(zone, use, log, started_ms);
    return NGX_OK;
}

bool format_file(Zone* zone, ngx_log_t* log) noexcept {
    uint8_t seed[16];
    if (RAND_bytes(seed, sizeof(seed)) != 1 ||
        zone->store.create(zone->file.addr, zone->size, kReservedBytes, zone->config, seed) != shm::Status::kOk) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "slab_cache zone \"%V\" cannot be formatted", &zone->name);
        return false;
    }
    FileHeader* header = header_of(zone->file);
    header->file_bytes = zone->size;
    set_zone_name(header, view(zone->name));
    claim(*zone, static_cast<uint32_t>(ngx_pid));
    read_boot(header->boot);
    zone->store.set_unclean(true);
    header->magic = kFileMagic;
    return true;
}

bool complain(Zone* zone, ngx_log_t* log, ngx_err_t err, const char* call, const char* path) noexcept {
    ngx_log_error(NGX_LOG_EMERG, log, err, "slab_cache zone \"%V\": %s \"%s\" failed", &zone->name, call, path);
    return false;
}

// Not on top of anything but what we left there ourselves, dying half-way under this pid.
int create_file(const char* name) noexcept {
    constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const int fd = open(name, kFlags, 0600);
    return fd == -1 && ngx_errno == NGX_EEXIST && is_left_over(name) && unlink(name) == 0 ? open(name, kFlags, 0600)
                                                                                          : fd;
}

bool complain_of_space(Zone* zone, ngx_log_t* log, int err) noexcept {
    struct statfs fs;
    const uint64_t free =
        fstatfs(zone->file.fd, &fs) == 0 ? static_cast<uint64_t>(fs.f_bavail) * static_cast<uint64_t>(fs.f_bsize) : 0;
    ngx_log_error(NGX_LOG_EMERG, log, err,
                  "slab_cache zone \"%V\" needs %s for its file \"%V\", and there is space for %s", &zone->name,
                  size_text(zone->size).text, &zone->file.path, size_text(free).text);
    return false;
}

// All of its memory is reserved now: tmpfs that runs full would kill a worker by SIGBUS later.
bool make_file(Zone* zone, ngx_log_t* log, const char* name) noexcept {
    ZoneFile* f = &zone->file;
    f->fd = create_file(name);
    struct stat st;
    if (f->fd == -1) {
        return complain(zone, log, ngx_errno, "open()", name);
    }
    f->fresh = true;  // from now on it is removed where anything fails
    if (fstat(f->fd, &st) == -1 || fchmod(f->fd, 0600) == -1) {
        return complain(zone, log, ngx_errno, "fchmod()", name);
    }
    f->device = st.st_dev;
    f->inode = st.st_ino;
    if (pwrite(f->fd, &kUnfinishedMagic, sizeof(kUnfinishedMagic), 0) == -1 && ngx_errno == NGX_ENOSPC) {
        return complain_of_space(zone, log, NGX_ENOSPC);  // hugetlbfs cannot be written to, and need not
    }
    if (const int err = posix_fallocate(f->fd, 0, static_cast<off_t>(zone->size)); err != 0) {
        (void) ftruncate(f->fd, 0);  // what it got is not missing from the figure
        return complain_of_space(zone, log, err);
    }
    if (!map(zone)) {
        return complain(zone, log, ngx_errno, "mmap()", name);
    }
    advise(*zone, log);
    if (!lock_file(f->fd, F_RDLCK)) {
        return complain(zone, log, ngx_errno, "locking", name);
    }
    return format_file(zone, log);
}

// Only over what was looked at when the zone was opened.
bool name_file(const ZoneFile& f) noexcept {
    const char* path = reinterpret_cast<char*>(f.path.data);
    struct stat st;
    if (lstat(path, &st) == 0) {
        if (f.replaced_inode != st.st_ino || f.replaced_device != st.st_dev) {
            ngx_set_errno(NGX_EEXIST);
            return false;
        }
        return rename(f.fresh_name, path) == 0;
    }
    return renameat2(AT_FDCWD, f.fresh_name, AT_FDCWD, path, RENAME_NOREPLACE) == 0 ||
           (ngx_errno == NGX_EINVAL && rename(f.fresh_name, path) == 0);
}

template <class Fn>
void each_zone(ngx_cycle_t* cycle, Fn fn) noexcept {
    if (cycle->conf_ctx[ngx_http_module.index] == nullptr) {
        return;
    }
    auto* mcf = static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_slab_cache_module));
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        fn(static_cast<Zone**>(mcf->zones.elts)[i], cycle->log);
    }
}

// What became of our file would be refused at the next start as no zone of ours.
void remove_ruin(const ZoneFile& f) noexcept {
    struct stat st;
    const char* path = reinterpret_cast<char*>(f.path.data);
    if (lstat(path, &st) == 0 && st.st_dev == f.device && st.st_ino == f.inode) {
        (void) unlink(path);
    }
}

}  // namespace

bool is_sound(const Zone& zone) noexcept {
    const ZoneFile& f = zone.file;
    if (f.path.len == 0) {
        return zone.store.is_intact();
    }
    return f.addr != nullptr && f.guarded.lost == 0 && !is_cut_short(f.fd, zone.size) && zone.store.is_intact() &&
           header_of(f)->magic == kFileMagic && f.guarded.lost == 0;
}

bool watch_zone_file(Zone* zone, ngx_log_t* log) noexcept {
    ZoneFile* f = &zone->file;
    if (f->addr == nullptr || f->given_up) {
        return f->addr == nullptr;
    }
    if (f->guarded.lost == 0 && is_cut_short(f->fd, zone->size)) {
        give_up(&f->guarded);
    }
    if (f->guarded.lost == 0) {
        return true;
    }
    f->given_up = true;
    ngx_log_error(NGX_LOG_CRIT, log, 0,
                  "slab_cache zone \"%V\": its file \"%V\" was cut short, or pages of it are gone: "
                  "nothing is cached until the next reload",
                  &zone->name, &f->path);
    return false;
}

bool is_zone_file_in_use(const struct stat& st) noexcept { return is_of_earlier_cycle(st); }

ngx_int_t open_zone_file(Zone* zone, ngx_log_t* log) noexcept {
    if (ngx_test_config) {
        return NGX_OK;  // no side effects, and no claim on a file that a running nginx uses
    }
    const ngx_int_t rc = use_existing(zone, log);
    if (rc != NGX_DECLINED) {
        return rc;
    }
    char* name = zone->file.fresh_name;
    u_char* end = ngx_sprintf(reinterpret_cast<u_char*>(name), "%V.new.%P", &zone->file.path, ngx_pid);
    *end = '\0';
    if (!make_file(zone, log, name)) {
        close_zone_file(zone);
        return NGX_ERROR;
    }
    hand_on_file(zone, log);
    zone->formatted = true;
    ngx_log_error(NGX_LOG_NOTICE, log, 0, "slab_cache zone \"%V\": %s, layout %uD, new file \"%V\", no objects",
                  &zone->name, size_text(zone->size).text, shm::kLayoutVersion, &zone->file.path);
    return take_over(zone, log);
}

void name_zone_files(ngx_cycle_t* cycle) noexcept {
    each_zone(cycle, [](Zone* zone, ngx_log_t* log) {
        ZoneFile* f = &zone->file;
        remove_left_file(*zone);
        if (!f->fresh) {
            return;
        }
        if (!name_file(*f)) {
            (void) complain(zone, log, ngx_errno, "rename()",
                            f->fresh_name);  // it works, and is gone with this nginx
            (void) unlink(f->fresh_name);
        }
        f->fresh = false;
    });
}

void close_zone_file(void* data) noexcept {
    auto* zone = static_cast<Zone*>(data);
    if (zone->file.fresh) {
        (void) unlink(zone->file.fresh_name);
        zone->file.fresh = false;
    }
    release(&zone->file, zone->size);
}

void note_master(Zone* zone) noexcept {
    const bool is_single = ngx_process == NGX_PROCESS_SINGLE;
    // A worker that has lost its master says nothing: the next master may be there already.
    if (zone->file.addr != nullptr && (is_single || getppid() == ngx_parent)) {
        claim(*zone, static_cast<uint32_t>(is_single ? ngx_pid : ngx_parent));
    }
}

void leave_zone_files(ngx_cycle_t* cycle) noexcept {
    each_zone(cycle, [](Zone* zone, ngx_log_t*) {
        if (zone->file.addr == nullptr || !lock_file(zone->file.fd, F_WRLCK)) {
            return;
        }
        if (!is_sound(*zone)) {
            remove_ruin(zone->file);
            return;
        }
        give_back_priors(zone);  // a draining worker may have outlived those who would have heard of its purges
        if (!zone->store.is_following()) {
            zone->store.set_unclean(false);
        }
    });
}

}  // namespace slab_cache::ngx
