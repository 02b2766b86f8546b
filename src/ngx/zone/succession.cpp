#include "ngx/glue/ngx.h"

#include "ngx/zone/succession.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/key.h"
#include "ngx/conf/conf.h"
#include "ngx/zone/heritage.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/user_area.h"
#include "ngx/zone/zone.h"
#include "shm/worker.h"

namespace slab_cache::ngx {
namespace {

constexpr uint64_t kCarryMs = 3000;  // the reload waits for it; the old workers go on serving
constexpr uint64_t kCopyMs = 1000;   // of these for copying, however long the listing took
constexpr size_t kPage = 4096;
constexpr size_t kHugePage = 2 * 1024 * 1024;

uint64_t clock_ms() noexcept {
    timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return static_cast<uint64_t>(ts.tv_sec) * 1000 + static_cast<uint64_t>(ts.tv_nsec) / 1000000;
}

bool has_module(const ngx_cycle_t* cycle) noexcept {
    for (ngx_uint_t i = 0; i < cycle->modules_n; i++) {
        if (cycle->modules[i] == &ngx_http_slab_cache_module) {
            return true;
        }
    }
    return false;
}

// By name, or, where it was renamed, by its file.
Zone* predecessor(const Zone& zone) noexcept {
    MainConf* mcf = earlier_conf();
    Zone* by_file = nullptr;
    for (ngx_uint_t i = 0; mcf != nullptr && i < mcf->zones.nelts; i++) {
        Zone* old = static_cast<Zone**>(mcf->zones.elts)[i];
        if (!old->formatted) {
            continue;
        }
        if (view(old->name) == view(zone.name)) {
            return old;
        }
        if (zone.file.path.len != 0 && view(old->file.path) == view(zone.file.path)) {
            by_file = old;
        }
    }
    return by_file;
}

// The same memory at another address. Of anonymous memory there is no descriptor: a shared mapping of no length is duplicated.
bool map_again(void* addr, size_t bytes, int fd, PriorMap* to) noexcept {
    const int own = fd != -1 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    void* p = own != -1 ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0)
                        : mremap(addr, 0, bytes, MREMAP_MAYMOVE);
    if (p == MAP_FAILED) {
        if (own != -1) {
            close(own);
        }
        return false;
    }
    *to = {p, bytes, own + 1, false, {}, 0, 0};
    if (own != -1) {
        guard(&to->guarded, p, bytes, nullptr);
    }
    return true;
}

void keep_keeper(const PriorMap& from, PriorMap* to) noexcept {
    to->keeper = from.keeper;
    to->keeper_start = from.keeper_start;
}

// The old binary's master, if it still lives: it may bring its workers back, and they go on with that zone.
void note_keeper(PriorMap* prior) noexcept {
    prior->keeper = getppid();
    if (!shm::read_start_time(static_cast<uint32_t>(prior->keeper), &prior->keeper_start)) {
        prior->keeper = 0;
    }
}

bool is_kept(const PriorMap& prior) noexcept {
    uint64_t start = 0;
    return prior.keeper != 0 && shm::read_start_time(static_cast<uint32_t>(prior.keeper), &start) &&
           start == prior.keeper_start;
}

uint32_t count_priors(const Zone& zone) noexcept {
    uint32_t n = 0;
    for (const PriorMap& prior : zone.prior) {
        n += prior.addr != nullptr ? 1 : 0;
    }
    return n;
}

void* memory_of(const Zone& zone) noexcept {
    return zone.file.path.len != 0 ? zone.file.addr : static_cast<void*>(zone.shm_zone->shm.addr);
}

// nullptr, or why not. Place 0 is for the old zone itself, the rest for its own priors.
const char* map_priors(Zone* zone, const Zone& old) noexcept {
    for (uint32_t i = 0; i < shm::Store::kPriors; i++) {
        void* base = nullptr;
        uint64_t bytes = 0;
        if (!old.store.prior_at(i, &base, &bytes)) {
            continue;
        }
        if (i + 1 == shm::Store::kPriors) {
            return "workers of too many zones before it still run";
        }
        if (!map_again(base, bytes, old.prior[i].file - 1, &zone->prior[i + 1])) {
            return "an older zone cannot be mapped again";
        }
        keep_keeper(old.prior[i], &zone->prior[i + 1]);
    }
    return map_again(memory_of(old), old.size, old.file.path.len != 0 ? old.file.fd : -1, &zone->prior[0])
               ? nullptr
               : "the old zone cannot be mapped again";
}

UserArea* prior_area(const Zone& zone, uint32_t place) noexcept {
    auto* area = static_cast<UserArea*>(zone.store.prior_user_area(place));
    return area != nullptr && area->version.load_acquire() == kUserAreaVersion ? area : nullptr;  // [user-area]
}

// What has to be read before the purge counter is taken over, so that whatever comes later is found to be later.
struct GlobMarks {
    uint64_t of[shm::Store::kPriors];
};

GlobMarks look_at_globs(Zone* old) noexcept {
    GlobMarks marks = {};
    UserArea* area = user_area(old);
    if (area != nullptr) {
        for (uint32_t i = 0; i + 1 < shm::Store::kPriors; i++) {
            marks.of[i + 1] = area->prior_globs[i].load_acquire();  // [prior-globs]
        }
        marks.of[0] = area->globs.newest.load_acquire();  // [glob-newest]
    }
    return marks;
}

void copy_patterns(Zone* zone, Zone* old, const GlobMarks& marks) noexcept {
    UserArea* area = user_area(zone);
    UserArea* from = user_area(old);
    if (area == nullptr || from == nullptr) {
        return;
    }
    for (uint32_t i = 0; i < shm::Store::kPriors; i++) {
        area->prior_globs[i].store_release(marks.of[i]);  // [prior-globs]
    }
    cache::copy_globs(from->globs, &area->globs, zone->store.carried_seq());
    cache::copy_purge_log(from->purges, &area->purges);
    cache::copy_past(from->past, &area->past);
}

// Before the purges: what is told of the stream's position is then true.
void inherit_from(Zone* zone, Zone* old) noexcept {
    cache::FleetArea* to = fleet_of(zone);
    cache::FleetArea* from = fleet_in(user_area(old), old->size);
    if (to != nullptr && from != nullptr) {
        cache::inherit_fleet(*from, to);
        (void) from->cycles.add_relaxed(1);
    }
}

// Their workers do not see what is listed here. Until they are gone, each of their invalidations is written down.
void list_all_in_priors(const Zone& zone) noexcept {
    for (uint32_t i = 0; i < shm::Store::kPriors; i++) {
        UserArea* area = zone.prior[i].addr != nullptr ? prior_area(zone, i) : nullptr;
        if (area != nullptr) {
            cache::UrlFilter(&area->listed, nullptr, 0).list_all();
        }
    }
}

struct Deadline {
    uint64_t started_ms;
    uint64_t at_ms;  // 0: not asked yet; the list of objects is made before
};

bool in_time(void* context) noexcept {
    auto* deadline = static_cast<Deadline*>(context);
    const uint64_t now = clock_ms();
    if (deadline->at_ms == 0) {
        deadline->at_ms = ngx_max(deadline->started_ms + kCarryMs, now + kCopyMs);
    }
    return now < deadline->at_ms;
}

shm::Carried carry(Zone* zone, const Zone& old, uint64_t started_ms) noexcept {
    shm::Carried out;
    out.cut_short = true;
    shm::WorkerId self;
    self.pid = static_cast<uint32_t>(ngx_pid);
    shm::Store from = old.store;  // a handle of our own: the old cycle's has joined nothing in this process
    if (!shm::read_start_time(self.pid, &self.start_time)) {
        self.start_time = 0;  // the pid alone counts
    }
    if (from.join(self) == shm::Status::kOk) {
        if (zone->store.join(self) == shm::Status::kOk) {
            Deadline deadline = {started_ms, 0};
            out = zone->store.carry(&from, {in_time, &deadline, now_sec()});
            zone->store.leave();
        }
        from.leave();
    }
    return out;
}

void purge_host(Bytes host, bool soft, void* data) noexcept {
    auto* zone = static_cast<Zone*>(data);
    const uint64_t selector = cache::raised_selector(host, zone->store.secret());
    const shm::PurgeMode mode = soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard;
    if (zone->store.purge(&selector, 1, mode) == 0) {
        (void) zone->store.purge_all_now(mode);
    }
}

void remove_pages(PriorMap* prior, uint64_t from) noexcept {
    char* base = static_cast<char*>(prior->addr);
    for (const size_t page : {kPage, kHugePage}) {
        const uint64_t at = (from + page - 1) / page * page;
        const uint64_t end = prior->bytes / page * page;
        if (at >= end || madvise(base + at, end - at, MADV_REMOVE) == 0) {
            return;
        }
    }
}

}  // namespace

MainConf* earlier_conf() noexcept {
    const auto* cycle = const_cast<const ngx_cycle_t*>(ngx_cycle);
    if (cycle == nullptr || ngx_is_init_cycle(cycle) || cycle->conf_ctx == nullptr || !has_module(cycle) ||
        cycle->conf_ctx[ngx_http_module.index] == nullptr) {
        return nullptr;
    }
    return static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_slab_cache_module));
}

bool has_predecessor(const Zone& zone) noexcept {
    // Without a master old and new are one process, which has the old zone's mapping taken away under its feet.
    const Zone* old = ngx_process == NGX_PROCESS_MASTER && !ngx_test_config ? predecessor(zone) : nullptr;
    return old != nullptr && is_sound(*old);
}

namespace {

ngx_int_t take_over_from(Zone* zone, Zone* old, ngx_log_t* log) noexcept {
    const uint64_t started_ms = clock_ms();
    if (const char* why = map_priors(zone, *old)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "slab_cache zone \"%V\" cannot change now: %s", &zone->name, why);
        return NGX_ERROR;
    }
    inherit_from(zone, old);
    const GlobMarks marks = look_at_globs(old);
    for (uint32_t i = 1; i < shm::Store::kPriors; i++) {
        if (zone->prior[i].addr != nullptr) {
            (void) zone->store.add_prior(old->store, i - 1, zone->prior[i].addr);
        }
    }
    if (zone->store.succeed(old->store, zone->prior[0].addr) != shm::Status::kOk) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "slab_cache zone \"%V\" cannot change: the old one is nonsense",
                      &zone->name);
        return NGX_ERROR;
    }
    zone->priors = count_priors(*zone);
    list_all_in_priors(*zone);
    take_over_unheard(zone, old);
    copy_patterns(zone, old, marks);
    const shm::Carried carried = carry(zone, *old, started_ms);
    if (old->shm_zone != nullptr ? !is_sound(*old) : !old->store.is_intact()) {
        (void) zone->store.purge_all_now(
            shm::PurgeMode::kHard);  // it was cut short meanwhile: what was copied may be anything
    }
    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "slab_cache zone \"%V\": %uL of %uL objects, %uL bytes, came along from %uz to %uz bytes in %uL ms%s",
                  &zone->name, carried.entries, carried.found, carried.bytes, old->size, zone->size,
                  clock_ms() - started_ms, carried.cut_short ? ", cut short" : "");
    return NGX_OK;
}

}  // namespace

ngx_int_t take_over(Zone* zone, ngx_log_t* log) noexcept {
    Zone heritage = {};
    if (open_inherited(*zone, &heritage, log)) {
        const ngx_int_t rc = take_over_from(zone, &heritage, log);
        note_keeper(&zone->prior[0]);
        close_inherited(&heritage);
        return rc;
    }
    if (has_predecessor(*zone)) {
        return take_over_from(zone, predecessor(*zone), log);
    }
    begin_listing(zone);
    return NGX_OK;
}

void keep_priors(Zone* zone) noexcept {
    const Zone* old = predecessor(*zone);
    for (uint32_t i = 0; old != nullptr && i < shm::Store::kPriors; i++) {
        void* base = nullptr;
        uint64_t bytes = 0;
        if (old->store.zone_id() == zone->store.zone_id() && old->store.prior_at(i, &base, &bytes) &&
            map_again(base, bytes, old->prior[i].file - 1, &zone->prior[i])) {
            keep_keeper(old->prior[i], &zone->prior[i]);
            (void) zone->store.keep_prior(old->store, i, zone->prior[i].addr);
        }
    }
    zone->priors = count_priors(*zone);
}

void drop_priors(void* data) noexcept {
    auto* zone = static_cast<Zone*>(data);
    zone->priors = 0;
    for (PriorMap& prior : zone->prior) {
        if (prior.addr != nullptr) {
            unguard(&prior.guarded);
            munmap(prior.addr, prior.bytes);
            prior.addr = nullptr;
            if (prior.file != 0) {
                close(prior.file - 1);
            }
        }
    }
}

bool is_elsewhere(const Zone& zone) noexcept {
    const ZoneFile& found = zone.file;
    const Zone* old = predecessor(zone);
    return old != nullptr ? old->file.inode != found.inode || old->file.device != found.device
                          : is_inherited_elsewhere(zone, found.device, found.inode);
}

void remove_left_file(const Zone& zone) noexcept {
    const Zone* old = zone.priors != 0 ? predecessor(zone) : nullptr;
    if (old == nullptr || old->file.path.len == 0 || view(old->file.path) == view(zone.file.path)) {
        return;
    }
    struct stat st;
    const char* path = reinterpret_cast<char*>(old->file.path.data);
    if (lstat(path, &st) == 0 && st.st_dev == old->file.device && st.st_ino == old->file.inode) {
        (void) unlink(path);
    }
}

void give_back_priors(Zone* zone) noexcept {
    for (uint32_t i = 0; i < shm::Store::kPriors; i++) {
        PriorMap* prior = &zone->prior[i];
        uint64_t from = 0;
        if (prior->addr == nullptr || prior->given_back || is_kept(*prior) || !zone->store.is_prior_deserted(i)) {
            continue;
        }
        if (is_behind_on_globs(*zone)) {
            import_globs(zone);
        }
        if (zone->store.close_prior(i, &from)) {
            remove_pages(prior, from);
            prior->given_back = true;
        }
    }
}

cache::FleetArea* prior_fleet(const Zone& zone, uint32_t place) noexcept {
    const PriorMap& prior = zone.prior[place];
    return prior.addr != nullptr ? fleet_in(prior_area(zone, place), prior.bytes) : nullptr;
}

bool is_behind_on_globs(const Zone& zone) noexcept {
    const auto* area = static_cast<const UserArea*>(zone.store.user_area());
    for (uint32_t i = 0; i < shm::Store::kPriors; i++) {
        const UserArea* old = zone.prior[i].addr != nullptr ? prior_area(zone, i) : nullptr;
        if (old != nullptr &&
            old->globs.newest.load_acquire() > area->prior_globs[i].load_acquire()) {  // [glob-newest] [prior-globs]
            return true;
        }
    }
    return false;
}

void import_globs(Zone* zone) noexcept {
    UserArea* area = user_area(zone);
    for (uint32_t i = 0; area != nullptr && i < shm::Store::kPriors; i++) {
        const UserArea* old = zone->prior[i].addr != nullptr ? prior_area(*zone, i) : nullptr;
        if (old == nullptr) {
            continue;
        }
        uint64_t seen = area->prior_globs[i].load_acquire();  // [prior-globs]
        const uint64_t now = cache::each_younger_glob(old->globs, seen, purge_host, zone);
        while (seen < now && !area->prior_globs[i].cas_acq_rel(seen, now)) {  // [prior-globs] after the purges
        }
    }
}

}  // namespace slab_cache::ngx
