#include "ngx/glue/ngx.h"

#include "ngx/fleet/member.h"

#include <signal.h>

#include <new>

#include "ngx/fleet/apply_entries.h"
#include "ngx/fleet/nodes.h"
#include "ngx/fleet/purge_zone.h"
#include "ngx/fleet/read_stream.h"
#include "ngx/fleet/write_stream.h"
#include "ngx/zone/user_area.h"
#include "ngx/zone/waiter.h"
#include "ngx/zone/wake.h"
#include "shm/worker.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_msec_t kTickMs = 100;
constexpr ngx_uint_t kLookEvery = 10;  // ticks: the holder's process is looked at closely
constexpr ngx_uint_t kFreeTicks = 10;  // a worker that exits publishes what waits, where nobody else does for so long

MainConf* cycle_conf(ngx_cycle_t* cycle) noexcept {
    if (cycle->conf_ctx[ngx_http_module.index] == nullptr) {
        return nullptr;
    }
    return static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_slab_cache_module));
}

bool is_worker() noexcept { return ngx_process == NGX_PROCESS_WORKER || ngx_process == NGX_PROCESS_SINGLE; }

template <class Fn>
void each_member_zone(ngx_cycle_t* cycle, Fn fn) noexcept {
    MainConf* mcf = cycle_conf(cycle);
    for (ngx_uint_t i = 0; mcf != nullptr && i < mcf->zones.nelts; i++) {
        Zone* zone = static_cast<Zone**>(mcf->zones.elts)[i];
        if (zone->fleet != nullptr) {
            fn(zone);
        }
    }
}

// ---- the lease -----------------------------------------------------------------------------------------------

// A process that has exited; closely: or another one of its number.
bool is_gone(uint64_t owner, void* data) noexcept {
    const auto* m = static_cast<const FleetMember*>(data);
    const shm::WorkerId id = shm::identity_of(owner);
    if (kill(static_cast<pid_t>(id.pid), 0) == -1 && ngx_errno == ESRCH) {
        return true;
    }
    uint64_t start = 0;
    if (m->ticks % kLookEvery != 0) {
        return false;
    }
    const shm::Life life = shm::look_at_process(id.pid, &start);
    return life == shm::Life::kDead || (life == shm::Life::kAlive && id.start_time != 0 && start != id.start_time);
}

uint64_t identify(Zone* zone) noexcept { return shm::identity_word(zone->store.worker_at(zone->store.worker_index())); }

void become_holder(FleetMember* m) noexcept {
    m->is_holder = true;
    m->publishes_only = ngx_exiting != 0;
    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0, "slab_cache zone \"%V\": this worker talks to %V now",
                  &m->zone->name, &m->conf->peers.label);
    if (!m->publishes_only) {
        start_reader(m);
    }
    start_writer(m);
}

void stop_holding(FleetMember* m) noexcept {
    m->is_holder = false;
    stop_reader(m);
    stop_writer(m);
    if (m->watch.timer_set) {
        ngx_del_timer(&m->watch);
    }
}

void leave(FleetMember* m) noexcept {
    if (!m->is_holder) {
        return;
    }
    stop_holding(m);
    cache::leave_lease(m->area, m->self, m->epoch);
    m->free_ticks = 0;
}

bool has_something_to_tell(FleetMember* m) noexcept {
    const cache::Outbox outbox(&m->area->outbox);
    return outbox.waiting() != 0 || outbox.untold() != 0;
}

// The links were closed for the worker quits: the lease is for others.
void leave_if_closed(FleetMember* m) noexcept {
    const bool is_done = m->publishes_only ? !has_something_to_tell(m) : is_stopped(m->reader.link.peer);
    if (is_done || is_stopped(m->writer.link.peer)) {
        leave(m);
    }
}

void try_to_hold(FleetMember* m) noexcept {
    const uint64_t owner = m->area->lease.owner.load_acquire();  // [fleet-lease]
    m->free_ticks = owner == 0 ? m->free_ticks + 1 : 0;
    if (ngx_exiting && (m->free_ticks < kFreeTicks || !has_something_to_tell(m))) {
        return;
    }
    if (cache::take_lease(m->area, m->self, now_ms(), is_gone, m, &m->epoch)) {
        become_holder(m);
    }
}

// ---- doubt ---------------------------------------------------------------------------------------------------

// What may have gone unheard for so long is told a little early: what is known of others is a second old at most.
uint64_t bound_of(const FleetConf& conf) noexcept { return conf.blind - ngx_min(conf.blind / 4, 1000); }

void doubt_if_blind(FleetMember* m) noexcept {
    const uint64_t now = now_ms();
    if (m->conf->blind == 0 || !cache::must_doubt(m->area, now, bound_of(*m->conf))) {
        return;
    }
    purge_all_surely(m->zone, shm::PurgeMode::kDoubt);
    cache::note_doubted(m->area, now);
    if (!m->is_blind) {
        ngx_log_error(
            NGX_LOG_WARN, ngx_cycle->log, 0,
            "slab_cache zone \"%V\": purges of %V may not have been heard of for %M ms: everything stored is in doubt",
            &m->zone->name, &m->conf->peers.label, m->conf->blind);
    }
    m->is_blind = true;
}

// ---- events --------------------------------------------------------------------------------------------------

bool prepare(FleetMember* m) noexcept {
    if (!usable(m->zone)) {
        if (m->is_holder) {
            stop_holding(m);
        }
        m->area = nullptr;
        return false;
    }
    if (m->area == nullptr) {
        m->area = fleet_of(m->zone);
        m->self = identify(m->zone);
        // A zone that was formatted a moment ago has nothing in it that could be doubted.
        if (m->area != nullptr && m->area->doubted_ms.load_acquire() == 0 &&
            m->area->clear_ms.load_acquire() == 0) {  // [fleet-ms]
            cache::raise_ms(&m->area->doubted_ms, now_ms());
        }
    }
    return m->area != nullptr;
}

void on_tick(ngx_event_t* ev) noexcept {
    auto* m = static_cast<FleetMember*>(ev->data);
    m->ticks++;
    if (prepare(m)) {
        doubt_if_blind(m);
        if (!m->is_holder) {
            try_to_hold(m);
        } else if (is_holder_still(m)) {
            leave_if_closed(m);
        }
        if (m->is_holder) {
            move_prior_outboxes(m->zone);
            publish_waiting(m);
            watch_nodes(m);
        }
    }
    if (!ngx_terminate) {
        ngx_add_timer(ev, kTickMs);
    }
}

void on_pump(ngx_event_t* ev) noexcept {
    auto* m = static_cast<FleetMember*>(ev->data);
    if (m->is_holder && is_holder_still(m)) {
        publish_waiting(m);
    }
}

void on_watch(ngx_event_t* ev) noexcept {
    auto* m = static_cast<FleetMember*>(ev->data);
    if (m->is_holder && is_holder_still(m)) {
        watch_nodes(m);
    }
}

void on_poke(Zone* zone) noexcept {
    FleetMember* m = zone->member;
    if (m == nullptr || !m->is_holder || m->area == nullptr) {
        return;
    }
    if (!m->pump.posted) {
        ngx_post_event(&m->pump, &ngx_posted_events);
    }
    watch_nodes(m);
}

void set_event(ngx_event_t* ev, ngx_event_handler_pt handler, FleetMember* m, ngx_log_t* log) noexcept {
    ev->handler = handler;
    ev->data = m;
    ev->log = log;
    ev->cancelable = 1;
}

void start(Zone* zone, ngx_cycle_t* cycle) noexcept {
    void* memory = ngx_pcalloc(cycle->pool, sizeof(FleetMember));
    if (memory == nullptr) {
        return;
    }
    auto* m = new (memory) FleetMember{};
    m->zone = zone;
    m->conf = zone->fleet;
    set_event(&m->tick, on_tick, m, cycle->log);
    set_event(&m->pump, on_pump, m, cycle->log);
    set_event(&m->watch, on_watch, m, cycle->log);
    (void) ngx_sprintf(reinterpret_cast<u_char*>(m->from), "%016xL", zone->store.zone_id());
    zone->member = m;
    zone->fleet_poked = on_poke;
    // Before the first request: a zone that lay in a file may have missed anything.
    if (prepare(m)) {
        doubt_if_blind(m);
    }
    ngx_add_timer(&m->tick, 1);
}

}  // namespace

void start_fleets(ngx_cycle_t* cycle) noexcept {
    if (is_worker()) {
        each_member_zone(cycle, [cycle](Zone* zone) { start(zone, cycle); });
    }
}

void stop_fleets(ngx_cycle_t* cycle) noexcept {
    if (!is_worker()) {
        return;
    }
    each_member_zone(cycle, [](Zone* zone) {
        FleetMember* m = zone->member;
        if (m == nullptr) {
            return;
        }
        if (m->is_holder && usable(zone) && is_holder_still(m)) {
            say_left(m);
        }
        leave(m);
        zone->fleet_poked = nullptr;
    });
}

void reserve_fleet_connections(ngx_cycle_t* cycle) noexcept {
    each_member_zone(cycle, [cycle](Zone*) { cycle->connection_n += 2; });
}

void count_fleet_cycle(ngx_cycle_t* cycle) noexcept {
    if (ngx_test_config) {
        return;
    }
    each_member_zone(cycle, [](Zone* zone) {
        cache::FleetArea* area = zone->formatted ? fleet_of(zone) : nullptr;
        zone->fleet_cycle = area != nullptr ? area->cycles.add_relaxed(1) + 1 : 0;
    });
}

bool has_successor(const FleetMember& m) noexcept { return m.area->cycles.load_relaxed() != m.zone->fleet_cycle; }

bool is_holder_still(FleetMember* m) noexcept {
    if (!m->is_holder) {
        return false;
    }
    if (usable(m->zone) && cache::keep_lease(m->area, m->self, m->epoch, now_ms())) {
        return true;
    }
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0, "slab_cache zone \"%V\": another worker talks to %V now",
                  &m->zone->name, &m->conf->peers.label);
    stop_holding(m);
    return false;
}

void announce_outbox(Zone* zone) noexcept {
    FleetMember* m = zone->member;
    if (m == nullptr || m->area == nullptr) {
        return;  // the holder looks by itself
    }
    if (m->is_holder) {
        on_poke(zone);
        return;
    }
    const uint64_t owner = m->area->lease.owner.load_acquire();  // [fleet-lease]
    for (uint32_t i = 0; owner != 0 && i < shm::WakeSet::kWords * 64; i++) {
        if (shm::identity_word(zone->store.worker_at(i)) == owner) {
            poke_worker(zone, i, kFleetCell);
            return;
        }
    }
}

void wake_waiting(FleetMember* m) noexcept {
    shm::WakeSet wake;
    for (uint32_t i = 0; i < shm::WakeSet::kWords; i++) {
        if (m->area->waiting[i].load_acquire() != 0) {               // [fleet-waiting]
            wake.bits[i] = m->area->waiting[i].exchange_seq_cst(0);  // [fleet-waiting]
        }
    }
    wake_workers(m->zone, wake, kFleetCell);
}

uint64_t server_ms(const FleetMember& m) noexcept {
    const int64_t now = static_cast<int64_t>(now_ms()) + m.server_ahead_ms;
    return m.knows_server_clock && now > 0 ? static_cast<uint64_t>(now) : 0;
}

}  // namespace slab_cache::ngx
