#include "ngx/glue/ngx.h"

#include "ngx/zone/zone.h"

#include <malloc.h>
#include <openssl/rand.h>
#include <sys/mman.h>

#include "ngx/glue/clock.h"
#include "ngx/conf/conf.h"
#include "ngx/zone/heritage.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/waiter.h"
#include "ngx/zone/wake.h"
#include "ngx/zone/zone_memory.h"
#include "shm/layout.h"
#include "shm/worker.h"

namespace slab_cache::ngx {
namespace {

constexpr int64_t kClockBase = 1'500'000'000;  // dates of two digits are read by the year of `now`
constexpr ngx_msec_t kUpkeepMs = 1000;
constexpr ngx_uint_t kFillShare = 4;  // of worker_connections
constexpr ngx_uint_t kReapEvery = 5;  // ticks
constexpr ngx_msec_t kSweepPauseMs = 10;
constexpr uint32_t kSweepSlice = 128;    // buckets between two looks at the clock
constexpr uint64_t kSweepTurnUs = 1000;  // in one turn of the event loop
constexpr uint32_t kSweepLeast = 4096;   // buckets in a second

void join(Zone* zone, ngx_log_t* log) noexcept {
    shm::WorkerId self;
    self.pid = static_cast<uint32_t>(ngx_pid);
    if (!zone->formatted || !watch_zone_file(zone, log)) {
        return;
    }
    if (!shm::read_start_time(self.pid, &self.start_time)) {
        self.start_time = 0;  // the pid alone counts
    }
    if (zone->store.join(self) != shm::Status::kOk) {
        ngx_log_error(NGX_LOG_WARN, log, 0, "slab_cache zone \"%V\": no free worker record, serving uncached",
                      &zone->name);
        return;
    }
    if (!open_wake_socket(zone, log)) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno, "slab_cache zone \"%V\": no wake-up socket, waiters poll",
                      &zone->name);
    }
}

// Takes back what dead workers held, and wakes those who wait for their fills.
void reap(Zone* zone) noexcept {
    shm::WakeSet wake;
    zone->store.reap(&wake);
    wake_workers(zone, wake, kAllCells);
}

void on_sweep(ngx_event_t* ev) noexcept {
    auto* zone = static_cast<Zone*>(ev->data);
    const uint64_t start = clock_us();
    do {
        const uint32_t n = zone->sweep_left < kSweepSlice ? zone->sweep_left : kSweepSlice;
        if (!usable(zone) || !zone->store.sweep(now_sec(), now_ms(), n)) {
            return;  // another worker sweeps
        }
        zone->sweep_left -= n;
    } while (zone->sweep_left != 0 && clock_us() - start < kSweepTurnUs);
    if (zone->sweep_left != 0 && !ngx_exiting && !ngx_terminate) {
        ngx_add_timer(ev, kSweepPauseMs);
    }
}

// As much of the index as the last second's purges ask for.
void begin_sweep(Zone* zone) noexcept {
    const uint64_t purged = zone->store.purged();
    const uint64_t since = purged - zone->purged_before;
    zone->purged_before = purged;
    const uint32_t quota = zone->store.sweep_quota(since);
    zone->sweep_left = quota < kSweepLeast ? kSweepLeast : quota;
    if (!zone->sweeping.timer_set) {
        on_sweep(&zone->sweeping);
    }
}

void on_upkeep(ngx_event_t* ev) noexcept {
    auto* zone = static_cast<Zone*>(ev->data);
    if (!watch_zone_file(zone, ev->log)) {
        return;  // nor is it looked at again
    }
    if (!usable(zone)) {
        join(zone, ev->log);
    } else {
        if (zone->ticks++ % kReapEvery == 0) {
            reap(zone);
            note_master(zone);
            give_back_priors(zone);
        }
        begin_sweep(zone);
        zone->store.age_holds();
        list_all_under_way(zone);
        walk_if_due(zone);
        if (zone->note_past != nullptr) {
            zone->note_past(zone);
        }
    }
    if (!ngx_exiting && !ngx_terminate) {
        ngx_add_timer(ev, kUpkeepMs);
    }
}

ngx_int_t worker_processes(ngx_cycle_t* cycle) noexcept {
    return reinterpret_cast<ngx_core_conf_t*>(ngx_get_conf(cycle->conf_ctx, ngx_core_module))->worker_processes;
}

MainConf* cycle_conf(ngx_cycle_t* cycle) noexcept {
    if (cycle->conf_ctx[ngx_http_module.index] == nullptr) {
        return nullptr;  // no http {} in this configuration
    }
    return static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_slab_cache_module));
}

ngx_int_t format(ngx_shm_zone_t* shm_zone, Zone* zone) noexcept {
    uint8_t seed[16];
    if (RAND_bytes(seed, sizeof(seed)) != 1) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0, "slab_cache zone \"%V\": no random bytes for its secret",
                      &zone->name);
        return NGX_ERROR;
    }
    const auto status = zone->store.create(shm_zone->shm.addr, shm_zone->shm.size, kReservedBytes, zone->config, seed);
    OPENSSL_cleanse(seed, sizeof(seed));
    if (status != shm::Status::kOk) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0, "slab_cache zone \"%V\" is too small: %uzk, need %uLk",
                      &zone->name, zone->size / 1024,
                      static_cast<uint64_t>(shm::Store::min_bytes(zone->config) + 1023) / 1024);
        return NGX_ERROR;
    }
    zone->formatted = true;
    return NGX_OK;
}

// Fills allocate and free a request's worth of pools each. glibc would hand the top of the heap back to the kernel and fault it
// in again every few dozen fills: a page fault per miss, measured.
void keep_heap_top() noexcept {
#if defined(__GLIBC__)
    mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
#endif
}

}  // namespace

int64_t now_sec() noexcept {
    static ngx_msec_t read_at;  // one look per turn of the event loop at most
    static int64_t sec;
    if (sec == 0 || read_at != ngx_current_msec) {
        timespec t;
        clock_gettime(CLOCK_BOOTTIME, &t);
        read_at = ngx_current_msec;
        sec = kClockBase + static_cast<int64_t>(t.tv_sec);
    }
    return sec;
}

http::StoredFacts stored_facts(const http::Response& response, const http::Freshness& freshness) noexcept {
    return http::moved(http::facts_of(response, freshness), now_sec() - wall_sec());
}

void advise_huge_pages(const Zone& zone, void* addr, ngx_log_t* log) noexcept {
    if (zone.huge_pages && madvise(addr, zone.size, MADV_HUGEPAGE) == -1) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno, "slab_cache zone \"%V\": no huge pages", &zone.name);
    }
}

ngx_int_t init_zone(ngx_shm_zone_t* shm_zone, void* data) noexcept {
    auto* zone = static_cast<Zone*>(shm_zone->data);
    uint64_t start = 0;
    if (!ngx_test_config && !shm::read_start_time(static_cast<uint32_t>(ngx_pid), &start)) {
        ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, ngx_errno,
                      "slab_cache zone \"%V\": /proc cannot be read: workers are told apart by their pids alone",
                      &zone->name);
    }
    if (zone->file.path.len != 0) {
        return open_zone_file(zone, shm_zone->shm.log);
    }
    if (data == nullptr) {
        share_memory(zone, shm_zone);
        advise_huge_pages(*zone, shm_zone->shm.addr, shm_zone->shm.log);
        if (format(shm_zone, zone) != NGX_OK) {
            return NGX_ERROR;
        }
        if (!ngx_test_config) {
            ngx_log_error(NGX_LOG_NOTICE, shm_zone->shm.log, 0,
                          "slab_cache zone \"%V\": %s, layout %uD, in memory, no objects", &zone->name,
                          size_text(zone->size).text, shm::kLayoutVersion);
        }
        return take_over(zone, shm_zone->shm.log);
    }
    // Reload: the tag (see zone_directives.cpp) made sure that the same build with the same layout wrote it.
    if (zone->store.attach(shm_zone->shm.addr, shm_zone->shm.size, kReservedBytes, zone->config) != shm::Status::kOk) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "slab_cache zone \"%V\" has another layout than this module build; "
                      "rename it or restart nginx",
                      &zone->name);
        return NGX_ERROR;
    }
    zone->formatted = true;
    keep_shared_memory(zone, *static_cast<const Zone*>(data));
    keep_priors(zone);
    if (!ngx_test_config) {
        ngx_log_error(NGX_LOG_NOTICE, shm_zone->shm.log, 0,
                      "slab_cache zone \"%V\": %s, layout %uD, in memory, goes on with %uL objects", &zone->name,
                      size_text(zone->size).text, shm::kLayoutVersion, zone->store.stats().entries);
    }
    return NGX_OK;
}

// A fill has a connection without a socket, a zone one with. Taken out of worker_connections, they would be missing where clients
// need all.
void reserve_connections(ngx_cycle_t* cycle) noexcept {
    MainConf* conf = cycle_conf(cycle);
    const ngx_uint_t most = ngx_max(cycle->connection_n / kFillShare, 1);
    ngx_uint_t all = 0;
    for (ngx_uint_t i = 0; conf != nullptr && i < conf->zones.nelts; i++) {
        Zone* zone = static_cast<Zone**>(conf->zones.elts)[i];
        if (zone->max_clones == 0) {
            zone->max_clones = most;
        }
        all += zone->max_clones + 1;  // its wake-up socket
    }
    cycle->connection_n += all;
}

ngx_int_t start_worker(ngx_cycle_t* cycle) noexcept {
    // The cache manager and loader are no workers: they serve nothing.
    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) {
        return NGX_OK;
    }
    MainConf* conf = cycle_conf(cycle);
    if (conf == nullptr) {
        return NGX_OK;
    }
    if (conf->zones.nelts != 0) {
        keep_heap_top();
    }
    auto** zones = static_cast<Zone**>(conf->zones.elts);
    for (ngx_uint_t i = 0; i < conf->zones.nelts; i++) {
        Zone* zone = zones[i];
        for (auto& bucket : zone->waiters) {
            ngx_queue_init(&bucket);
        }
        ngx_queue_init(&zone->under_way);
        zone->workers = static_cast<uint32_t>(ngx_max(worker_processes(cycle), 1));
        start_walking(zone, cycle->log);
        zone->sweeping.handler = on_sweep;
        zone->sweeping.data = zone;
        zone->sweeping.log = cycle->log;
        zone->sweeping.cancelable = 1;
        zone->upkeep.handler = on_upkeep;
        zone->upkeep.data = zone;
        zone->upkeep.log = cycle->log;
        zone->upkeep.cancelable = 1;  // or a draining worker would never exit
        join(zone, cycle->log);
        reap(zone);
        note_master(zone);
        // Workers spread over the second, so that they do not all sweep at the same instant.
        ngx_add_timer(&zone->upkeep, kUpkeepMs + static_cast<ngx_msec_t>(ngx_pid % 100) * 10);
    }
    return NGX_OK;
}

void stop_worker(ngx_cycle_t* cycle) noexcept {
    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) {
        return;
    }
    MainConf* conf = cycle_conf(cycle);
    if (conf == nullptr) {
        return;
    }
    auto** zones = static_cast<Zone**>(conf->zones.elts);
    for (ngx_uint_t i = 0; i < conf->zones.nelts; i++) {
        close_wake_socket(zones[i]);
        zones[i]->store.leave();
    }
}

void wake_workers(Zone* zone, const shm::WakeSet& wake, uint32_t cell) noexcept {
    if (!wake.any()) {
        return;
    }
    const uint32_t self = zone->store.worker_index();
    for (uint32_t word = 0; word < shm::WakeSet::kWords; word++) {
        for (uint64_t bits = wake.bits[word]; bits != 0; bits &= bits - 1) {
            const uint32_t index = word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
            if (index == self) {
                post_waiters(zone, cell);
            } else {
                poke_worker(zone, index, cell);
            }
        }
    }
}

Zone* zone_for(ngx_http_request_t* r, const LocConf* conf, bool* is_unknown) noexcept {
    *is_unknown = false;
    if (conf->zone_value == nullptr) {
        return conf->zone;
    }
    ngx_str_t name;
    *is_unknown = ngx_http_complex_value(r, conf->zone_value, &name) != NGX_OK;
    if (*is_unknown || name.len == 0 || view(name) == "off") {
        return nullptr;
    }
    MainConf* mcf = main_conf(r);
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        if (view(zones[i]->name) == view(name)) {
            return zones[i];
        }
    }
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "slab_cache zone \"%V\" not found", &name);
    *is_unknown = true;
    return nullptr;
}

}  // namespace slab_cache::ngx
