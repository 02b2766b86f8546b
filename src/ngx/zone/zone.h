// ngx/zone/zone.h — one slab_cache_zone in one process: the shared store, this worker's part in it, and its timers.
//
// Lifetime    a Zone lives on the configuration cycle's pool. The master formats or attaches the store before the
//             fork; each worker joins it in init_process and leaves in exit_process. Nothing here is global, so that
//             draining workers of an older cycle keep to their own zone.
// Threading   one worker process, its event loop only.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/sketch.h"
#include "http/reuse.h"
#include "ngx/zone/succession.h"
#include "ngx/zone/zone_file.h"
#include "shm/store.h"

namespace slab_cache::ngx {

struct FleetConf;    // ngx/fleet/fleet_conf.h
struct FleetMember;  // ngx/fleet/member.h
struct LocConf;
struct Waiter;

inline constexpr size_t kReservedBytes = 4096;  // nginx's ngx_slab_pool_t stays in place at the zone's start
inline constexpr ngx_uint_t kWaiterBuckets = 256;

struct Zone {
    ngx_str_t name;
    size_t size;
    shm::Config config;
    bool huge_pages;
    ngx_uint_t max_clones;  // fills as requests of their own, in each worker
    time_t inactive;        // seconds a stale object is kept, at most; 0 = as long as it is of use
    ZoneFile file;
    PriorMap prior[shm::Store::kPriors];  // zones whose place it took, where their workers may still run
    uint32_t priors;                      // how many of these there are
    int memory;                           // 1 + descriptor of it that the next binary gets (heritage.h); 0: none
    ngx_shm_zone_t* shm_zone;
    bool is_default_key_used;  // by some location: what is pushed can be found
    shm::Store store;
    Zone* next_awaited;  // configuration only: of those used before they were defined
    ngx_str_t named_in;  // the file and line where it is defined; until then, where it is used
    ngx_uint_t named_at;
    ngx_str_t fleet_name;  // fleet=; empty: none
    FleetConf* fleet;      // what it names; nullptr: none
    uint64_t fleet_cycle;  // FleetArea::cycles as it was when the workers of this configuration began

    // ---- run time, private to this worker ----
    bool formatted;          // create() or attach() succeeded in the master
    ngx_event_t upkeep;      // once a second: join again, reap, begin to sweep
    ngx_event_t sweeping;    // a slice of the index at a time, until this second's part is done
    uint32_t sweep_left;     // buckets
    uint64_t purged_before;  // fingerprints, at the last second
    ngx_uint_t ticks;
    ngx_connection_t* wake;               // datagram socket other workers poke
    ngx_queue_t waiters[kWaiterBuckets];  // of Waiter, by lease cell
    bool missing;                         // this worker's last lookup found nothing
    uint32_t workers;                     // that share the zone
    ngx_uint_t fills;                     // fills this worker has under way
    ngx_uint_t clones;                    // ... as requests of their own
    ngx_uint_t abandoned;                 // ... whose client has left
    ngx_queue_t under_way;                // of Listed: these, and those whose answer is still going by
    ngx_event_t walking;                  // listing.h
    uint64_t walk_cursor;
    uint32_t walk_epoch;
    void (*note_past)(Zone* zone) noexcept;    // of the upkeep: once a second (ngx/request/past.h)
    FleetMember* member;                       // this worker's part in the fleet; nullptr: none
    void (*fleet_poked)(Zone* zone) noexcept;  // kFleetCell was poked
    cache::Sampler sampler;                    // of hits, for the admin API's top routes
    cache::Sampler lost_sampler;               // of misses, likewise
};

// True when this worker may use the store. False: serve uncached.
inline bool usable(Zone* zone) noexcept { return zone->store.joined(); }

// The zone this location caches in, nullptr for none. *is_unknown: variables named one that there is not.
Zone* zone_for(ngx_http_request_t* r, const LocConf* conf, bool* is_unknown) noexcept;

// Asks for huge pages where huge_pages=on says so. Not having them is no failure.
void advise_huge_pages(const Zone& zone, void* addr, ngx_log_t* log) noexcept;

ngx_int_t init_zone(ngx_shm_zone_t* shm_zone, void* data) noexcept;
// Connections for fills, beside worker_connections: they take none of clients'.
void reserve_connections(ngx_cycle_t* cycle) noexcept;
ngx_int_t start_worker(ngx_cycle_t* cycle) noexcept;
void stop_worker(ngx_cycle_t* cycle) noexcept;

// Two clocks of seconds. What a response says of itself is read by the wall clock; what is stored lives by one that nobody sets
// (since boot, suspended or not, from a number like the wall clock's): else an object would be fresh for as long as the wall
// clock was set back. It is the same for all processes until the next boot.
inline int64_t wall_sec() noexcept { return static_cast<int64_t>(ngx_time()); }
int64_t now_sec() noexcept;
inline int64_t by_wall(int64_t sec) noexcept { return sec + (wall_sec() - now_sec()); }  // a moment of now_sec()
// Facts as they are stored: on the clock that nobody sets.
http::StoredFacts stored_facts(const http::Response& response, const http::Freshness& freshness) noexcept;
// The monotonic millisecond, as the event loop has it.
inline uint64_t now_ms() noexcept { return static_cast<uint64_t>(ngx_current_msec); }

// Pokes the workers in `wake` about lease cell `cell`; waiters of this worker are posted directly.
void wake_workers(Zone* zone, const shm::WakeSet& wake, uint32_t cell) noexcept;

}  // namespace slab_cache::ngx
