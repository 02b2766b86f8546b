// ngx/tier/tier_conf.h — what slab_cache_tier said: the store that a miss asks before the origin.
//
// Lifetime    on the configuration's pool; immutable once the configuration is read, but for `client`, which is this worker's.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"
#include "ngx/fleet/peers.h"
#include "ngx/tier/tier_figures.h"

namespace slab_cache::ngx {

struct FleetConf;
struct TierClient;  // tier_client.h

enum class TierKind : uint8_t { kRedis, kMemcached };

struct TierConf {
    ngx_str_t name;
    bool is_defined;  // its servers were named; else it was only used so far
    TierKind kind;
    // Redis: one, with the addresses it may have. memcached: one for each server, in their order.
    ngx_array_t servers;  // of Peers
    Bytes* server_names;  // "host:port", as clients in other languages name them
    ngx_str_t prefix;
    ngx_msec_t timeout;
    size_t max_object;
    ngx_msec_t lease;
    bool writes;
    ngx_str_t fleet_name;  // fleet=; empty: none
    FleetConf* fleet;
    bool is_warned_of;  // that is not the fleet of a zone
    ngx_str_t file;     // where it was defined, or used first
    ngx_uint_t line;
    ngx_shm_zone_t* shm_zone;
    TierArea* area;  // figures, in memory that all workers share
    TierClient* client;
};

// slab_cache_tier NAME servers … in http {}; slab_cache_tier NAME|off there and below.
char* set_tier(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
// After all of http {} was read: each tier that is used is defined, and its fleet is.
char* check_tiers(ngx_conf_t* cf, void* conf) noexcept;
// At merge: positions are the tier's fleet's, and the zone reads its own.
void warn_of_other_fleet(ngx_conf_t* cf, const LocConf& conf) noexcept;
// In postconfiguration: addresses.
bool complete_tiers(ngx_conf_t* cf) noexcept;
// Connections of theirs, beside worker_connections.
void reserve_tier_connections(ngx_cycle_t* cycle) noexcept;

}  // namespace slab_cache::ngx
