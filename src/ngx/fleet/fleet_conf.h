// ngx/fleet/fleet_conf.h — what slab_cache_fleet said.
//
// Lifetime    on the configuration's pool; immutable once the configuration is read.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"
#include "ngx/fleet/peers.h"

namespace slab_cache::ngx {

struct FleetConf {
    ngx_str_t name;
    Peers peers;
    ngx_str_t stream;  // the key
    ngx_str_t nodes;   // the key of the hash that nodes write to; in a cluster it lies where the stream lies
    ngx_str_t node;    // what this machine is called
    uint64_t maxlen;   // entries that the stream keeps, about
    ngx_msec_t blind;  // 0: off
    bool is_hard_on_gap;
    ngx_array_t zones;  // of Zone*: its members here
    ngx_str_t file;     // where it was defined
    ngx_uint_t line;
};

FleetConf* fleet_by_name(const MainConf* mcf, Bytes name) noexcept;  // nullptr: none
char* set_fleet(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
// After all of http {} was read: each fleet that a zone names is defined, and is told of the zone.
char* check_fleets(ngx_conf_t* cf, void* conf) noexcept;
// In postconfiguration: addresses.
bool complete_fleets(ngx_conf_t* cf) noexcept;

}  // namespace slab_cache::ngx
