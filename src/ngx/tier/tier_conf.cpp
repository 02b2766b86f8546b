// slab_cache_tier.
#include "ngx/glue/ngx.h"

#include "ngx/tier/tier_conf.h"

#include "cache/tier_key.h"
#include "ngx/conf/directives.h"
#include "ngx/fleet/fleet_conf.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_msec_t kTimeoutMs = 20;
constexpr ngx_msec_t kMostTimeoutMs = 5000;
constexpr ngx_msec_t kLeaseMs = 5000;
constexpr ngx_msec_t kLeastLeaseMs = 1000;  // memcached counts in seconds
constexpr ngx_msec_t kMostLeaseMs = 3600 * 1000;
constexpr size_t kMaxObject = 512 * 1024;
constexpr size_t kLeastObject = 1024;
constexpr size_t kMostObject = 64 * 1024 * 1024;
constexpr size_t kSharedBytes = 64 * 1024;  // nginx wants eight pages at least
constexpr ngx_uint_t kConnectionsOfServer = 3;
const ngx_str_t kPrefix = ngx_string("slab:");

struct Scheme {
    PeerScheme peers;
    TierKind kind;
};
constexpr Scheme kSchemes[] = {{{"redis://", 6379, false, true}, TierKind::kRedis},
                               {{"rediss://", 6379, true, true}, TierKind::kRedis},
                               {{"memcached://", 11211, false, false}, TierKind::kMemcached}};

char* error() noexcept { return static_cast<char*>(NGX_CONF_ERROR); }

TierConf* tier_by_name(const MainConf* mcf, Bytes name) noexcept {
    auto** tiers = static_cast<TierConf**>(mcf->tiers.elts);
    for (ngx_uint_t i = 0; i < mcf->tiers.nelts; i++) {
        if (view(tiers[i]->name) == name) {
            return tiers[i];
        }
    }
    return nullptr;
}

// It may be used before it is defined.
TierConf* find_or_make(ngx_conf_t* cf, const ngx_str_t& name) noexcept {
    MainConf* mcf = main_conf(cf);
    TierConf* tier = tier_by_name(mcf, view(name));
    if (tier != nullptr) {
        return tier;
    }
    tier = pool_new<TierConf>(cf->pool);
    auto** slot = tier != nullptr ? static_cast<TierConf**>(ngx_array_push(&mcf->tiers)) : nullptr;
    if (slot == nullptr || ngx_array_init(&tier->servers, cf->pool, 1, sizeof(Peers)) != NGX_OK) {
        return nullptr;
    }
    *slot = tier;
    tier->name = name;
    tier->prefix = kPrefix;
    tier->timeout = kTimeoutMs;
    tier->max_object = kMaxObject;
    tier->lease = kLeaseMs;
    tier->writes = true;
    tier->file = cf->conf_file->file.name;
    tier->line = cf->conf_file->line;
    return tier;
}

char* read_time(ngx_conf_t* cf, const char* format, const ngx_str_t& value, ngx_msec_t least, ngx_msec_t most,
                ngx_msec_t* out) noexcept {
    ngx_str_t text = value;
    const ngx_int_t ms = ngx_parse_time(&text, 0);
    if (ms == NGX_ERROR || ms < static_cast<ngx_int_t>(least) || ms > static_cast<ngx_int_t>(most)) {
        return fail(cf, format, value);
    }
    *out = static_cast<ngx_msec_t>(ms);
    return NGX_CONF_OK;
}

char* read_size(ngx_conf_t* cf, const ngx_str_t& value, size_t* out) noexcept {
    ngx_str_t text = value;
    const ssize_t n = ngx_parse_size(&text);
    if (n == NGX_ERROR || n < static_cast<ssize_t>(kLeastObject) || n > static_cast<ssize_t>(kMostObject)) {
        return fail(cf, "invalid max_object value \"%V\", it must be a size from 1k to 64m", value);
    }
    *out = static_cast<size_t>(n);
    return NGX_CONF_OK;
}

char* read_parameter(ngx_conf_t* cf, const ngx_str_t& value, TierConf* tier, Peers* peers) noexcept {
    ngx_str_t rest;
    char* rv = NGX_CONF_OK;
    if (read_peer_parameter(cf, value, peers, &rv)) {
        return rv;
    }
    if (parameter(value, "prefix=", &rest)) {
        tier->prefix = rest;
        return cache::is_tier_prefix(view(rest))
                   ? NGX_CONF_OK
                   : fail(cf, "invalid prefix \"%V\", it must be at most 64 printable characters without blanks", rest);
    }
    if (parameter(value, "timeout=", &rest)) {
        return read_time(cf, "invalid timeout value \"%V\", it must be a time from 1ms to 5s", rest, 1, kMostTimeoutMs,
                         &tier->timeout);
    }
    if (parameter(value, "max_object=", &rest)) {
        return read_size(cf, rest, &tier->max_object);
    }
    if (parameter(value, "lease=", &rest)) {
        return read_time(cf, "invalid lease value \"%V\", it must be a time from 1s to 1h", rest, kLeastLeaseMs,
                         kMostLeaseMs, &tier->lease);
    }
    if (parameter(value, "write=", &rest)) {
        tier->writes = view(rest) == "on";
        return tier->writes || view(rest) == "off"
                   ? NGX_CONF_OK
                   : fail(cf, "invalid write value \"%V\", it must be \"on\" or \"off\"", rest);
    }
    if (parameter(value, "fleet=", &rest)) {
        tier->fleet_name = rest;
        return rest.len != 0 ? NGX_CONF_OK : fail(cf, "invalid fleet in \"%V\", it names a slab_cache_fleet", value);
    }
    return invalid_parameter(
        cf, value,
        "it must be \"prefix=text\", \"timeout=time\", \"max_object=size\", \"lease=time\", \"write=on\", "
        "\"write=off\", \"fleet=name\", " SLAB_PEER_PARAMETERS);
}

char* read_servers(ngx_conf_t* cf, const ngx_str_t& value, TierConf* tier, Peers* peers) noexcept {
    for (const Scheme& scheme : kSchemes) {
        if (base::starts_with(view(value), scheme.peers.prefix)) {
            tier->kind = scheme.kind;
            return read_peers(cf, value, scheme.peers, peers);
        }
    }
    return fail(cf,
                "invalid server \"%V\", it must be \"redis://host[:port][,…][/database]\", \"rediss://…\" or "
                "\"memcached://host[:port][,…]\"",
                value);
}

// As clients in other languages name it: with the port.
bool name_server(ngx_conf_t* cf, const Peer& peer, Bytes* name) noexcept {
    if (peer.host.len == 0) {
        *name = view(peer.text);
        return true;
    }
    ngx_str_t host = peer.host;
    auto* text = static_cast<u_char*>(ngx_pnalloc(cf->pool, host.len + sizeof(":65535")));
    if (text == nullptr) {
        return false;
    }
    const u_char* end = ngx_sprintf(text, "%V:%ui", &host, static_cast<ngx_uint_t>(peer.port));
    *name = {reinterpret_cast<char*>(text), static_cast<size_t>(end - text)};
    return true;
}

bool add_server(ngx_conf_t* cf, TierConf* tier, const Peers& all, const Peer* peer, ngx_uint_t count) noexcept {
    auto* one = static_cast<Peers*>(ngx_array_push(&tier->servers));
    if (one == nullptr) {
        return false;
    }
    *one = all;
    if (ngx_array_init(&one->list, cf->pool, count, sizeof(Peer)) != NGX_OK) {
        return false;
    }
    auto* to = static_cast<Peer*>(ngx_array_push_n(&one->list, count));
    ngx_memcpy(to, peer, count * sizeof(Peer));
    return name_server(cf, *peer, &tier->server_names[tier->servers.nelts - 1]);
}

// memcached's share the keys among them. Those of Redis are one server at a time.
bool take_servers(ngx_conf_t* cf, TierConf* tier, const Peers& all) noexcept {
    const auto* peer = static_cast<const Peer*>(all.list.elts);
    const ngx_uint_t n = all.list.nelts;
    tier->server_names = static_cast<Bytes*>(ngx_palloc(cf->pool, n * sizeof(Bytes)));
    if (tier->server_names == nullptr) {
        return false;
    }
    if (tier->kind == TierKind::kRedis) {
        return add_server(cf, tier, all, peer, n);
    }
    for (ngx_uint_t i = 0; i < n; i++) {
        if (!add_server(cf, tier, all, &peer[i], 1)) {
            return false;
        }
    }
    return true;
}

bool name_peers(ngx_conf_t* cf, const ngx_str_t& name, Peers* peers) noexcept {
    constexpr Bytes kLabel = "slab_cache_tier \"\"";
    peers->label.data = static_cast<u_char*>(ngx_pnalloc(cf->pool, kLabel.size() + name.len));
    if (peers->label.data == nullptr) {
        return false;
    }
    const u_char* end = ngx_sprintf(peers->label.data, "slab_cache_tier \"%V\"", &name);
    peers->label.len = static_cast<size_t>(end - peers->label.data);
    return true;
}

ngx_int_t init_area(ngx_shm_zone_t* shm_zone, void* old) noexcept {
    auto* tier = static_cast<TierConf*>(shm_zone->data);
    auto* pool = reinterpret_cast<ngx_slab_pool_t*>(shm_zone->shm.addr);
    if (old != nullptr) {
        tier->area = static_cast<TierConf*>(old)->area;
        return NGX_OK;
    }
    if (shm_zone->shm.exists) {
        tier->area = static_cast<TierArea*>(pool->data);
        return NGX_OK;
    }
    tier->area = static_cast<TierArea*>(ngx_slab_calloc(pool, sizeof(TierArea)));
    pool->data = tier->area;
    return tier->area != nullptr ? NGX_OK : NGX_ERROR;
}

bool add_area(ngx_conf_t* cf, TierConf* tier) noexcept {
    static u_char tag;
    constexpr Bytes kName = "slab_cache_tier:";
    ngx_str_t name;
    name.data = static_cast<u_char*>(ngx_pnalloc(cf->pool, kName.size() + tier->name.len));
    if (name.data == nullptr) {
        return false;
    }
    name.len = static_cast<size_t>(ngx_sprintf(name.data, "slab_cache_tier:%V", &tier->name) - name.data);
    tier->shm_zone = ngx_shared_memory_add(cf, &name, kSharedBytes, &tag);
    if (tier->shm_zone == nullptr) {
        return false;
    }
    tier->shm_zone->init = init_area;
    tier->shm_zone->data = tier;
    return true;
}

char* define(ngx_conf_t* cf) noexcept {
    const ngx_str_t* value = args(cf);
    if (view(value[1]) == "off") {
        return fail(cf, "invalid name \"%V\", it means that there is no tier", value[1]);
    }
    TierConf* tier = find_or_make(cf, value[1]);
    Peers peers;
    ngx_memzero(&peers, sizeof(peers));
    if (tier == nullptr) {
        return error();
    }
    if (tier->is_defined) {
        return fail(cf, "slab_cache_tier \"%V\" is already defined", value[1]);
    }
    tier->is_defined = true;
    tier->file = cf->conf_file->file.name;
    tier->line = cf->conf_file->line;
    if (!init_peers(cf, &peers) || !name_peers(cf, tier->name, &peers)) {
        return error();
    }
    if (char* rv = read_servers(cf, value[2], tier, &peers); rv != NGX_CONF_OK) {
        return rv;
    }
    for (ngx_uint_t i = 3; i < cf->args->nelts; i++) {
        if (char* rv = read_parameter(cf, value[i], tier, &peers); rv != NGX_CONF_OK) {
            return rv;
        }
    }
    if (tier->kind == TierKind::kMemcached && peers.password_bytes != 0 && peers.user.len == 0) {
        return const_cast<char*>("has \"password_file=\" without \"user=\", and memcached wants both");
    }
    if (char* rv = finish_peers(cf, &peers); rv != NGX_CONF_OK) {
        return rv;
    }
    return take_servers(cf, tier, peers) && add_area(cf, tier) ? NGX_CONF_OK : error();
}

template <class Fn>
bool each_tier(const MainConf* mcf, Fn fn) noexcept {
    auto** tiers = static_cast<TierConf**>(mcf->tiers.elts);
    for (ngx_uint_t i = 0; i < mcf->tiers.nelts; i++) {
        if (!fn(tiers[i])) {
            return false;
        }
    }
    return true;
}

}  // namespace

char* set_tier(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    const ngx_str_t* value = args(cf);
    if (char* rv = check_peers_name(cf, value[1]); rv != NGX_CONF_OK) {
        return rv;
    }
    if (cf->args->nelts > 2) {
        return (cf->cmd_type & NGX_HTTP_MAIN_CONF) != 0
                   ? define(cf)
                   : fail(cf, "\"slab_cache_tier %V\" names servers, which it may in http {} alone", value[1]);
    }
    if (lcf->tier != NGX_CONF_UNSET_PTR) {
        return const_cast<char*>("is duplicate");
    }
    lcf->tier = view(value[1]) == "off" ? nullptr : find_or_make(cf, value[1]);
    return lcf->tier != nullptr || view(value[1]) == "off" ? NGX_CONF_OK : error();
}

char* check_tiers(ngx_conf_t* cf, void* conf) noexcept {
    auto* mcf = static_cast<MainConf*>(conf);
    const bool ok = each_tier(mcf, [cf, mcf](TierConf* tier) noexcept {
        if (!tier->is_defined) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "slab_cache_tier \"%V\" is used in %V:%ui, and its servers are named nowhere: write "
                          "\"slab_cache_tier %V redis://…;\" in http {}",
                          &tier->name, &tier->file, tier->line, &tier->name);
            return false;
        }
        tier->fleet = tier->fleet_name.len != 0 ? fleet_by_name(mcf, view(tier->fleet_name)) : nullptr;
        if (tier->fleet_name.len != 0 && tier->fleet == nullptr) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "slab_cache_tier \"%V\" names fleet=%V, and there is no slab_cache_fleet %V in %V:%ui",
                          &tier->name, &tier->fleet_name, &tier->fleet_name, &tier->file, tier->line);
            return false;
        }
        return true;
    });
    return ok ? NGX_CONF_OK : error();
}

void warn_of_other_fleet(ngx_conf_t* cf, const LocConf& conf) noexcept {
    TierConf* tier = conf.tier;
    if (tier == nullptr || conf.zone == nullptr || conf.zone->fleet == tier->fleet || tier->is_warned_of) {
        return;
    }
    tier->is_warned_of = true;
    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "slab_cache_tier \"%V\" and slab_cache zone \"%V\" are not of the same fleet: what is read from "
                       "the one counts as older than every purge in the other, write the same \"fleet=\" for both",
                       &tier->name, &conf.zone->name);
}

bool complete_tiers(ngx_conf_t* cf) noexcept {
    return each_tier(main_conf(cf), [cf](TierConf* tier) noexcept {
        auto* peers = static_cast<Peers*>(tier->servers.elts);
        for (ngx_uint_t i = 0; i < tier->servers.nelts; i++) {
            if (!complete_peers(cf, &peers[i])) {
                return false;
            }
        }
        return true;
    });
}

void reserve_tier_connections(ngx_cycle_t* cycle) noexcept {
    const auto* mcf = static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_slab_cache_module));
    (void) each_tier(mcf, [cycle](const TierConf* tier) noexcept {
        cycle->connection_n += kConnectionsOfServer * tier->servers.nelts;
        return true;
    });
}

}  // namespace slab_cache::ngx
