// slab_cache_fleet.
#include "ngx/glue/ngx.h"

#include "ngx/fleet/fleet_conf.h"

#include "cache/fleet_area.h"
#include "ngx/conf/directives.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr uint64_t kMaxlen = 100000;
constexpr uint64_t kLeastMaxlen = 1000;
constexpr ngx_msec_t kBlindMs = 60000;
constexpr ngx_msec_t kLeastBlindMs = 2000;
constexpr PeerScheme kSchemes[] = {{"redis://", 6379, false, true}, {"rediss://", 6379, true, true}};

char* error() noexcept { return static_cast<char*>(NGX_CONF_ERROR); }

// Names go into a hash of the server and into log lines.
bool is_node_name(Bytes name) noexcept {
    for (const char c : name) {
        if (c <= ' ' || c == '/' || c == '"' || static_cast<unsigned char>(c) >= 0x7f) {
            return false;
        }
    }
    return !name.empty() && name.size() <= cache::kNodeNameBytes;
}

bool read_maxlen(const ngx_str_t& value, uint64_t* out) noexcept {
    ngx_str_t digits = value;
    const off_t unit = value.len > 1 && (value.data[value.len - 1] | 0x20) == 'k'   ? 1000
                       : value.len > 1 && (value.data[value.len - 1] | 0x20) == 'm' ? 1000000
                                                                                    : 1;
    digits.len -= unit != 1 ? 1 : 0;
    const off_t n = ngx_atoof(digits.data, digits.len);
    if (n == NGX_ERROR || n > NGX_MAX_OFF_T_VALUE / unit || n * unit < static_cast<off_t>(kLeastMaxlen)) {
        return false;
    }
    *out = static_cast<uint64_t>(n * unit);
    return true;
}

char* read_blind(ngx_conf_t* cf, const ngx_str_t& value, ngx_msec_t* out) noexcept {
    if (view(value) == "off") {
        *out = 0;
        return NGX_CONF_OK;
    }
    ngx_str_t text = value;
    const ngx_int_t ms = ngx_parse_time(&text, 0);
    if (ms == NGX_ERROR || ms < static_cast<ngx_int_t>(kLeastBlindMs)) {
        return fail(cf, "invalid blind value \"%V\", it must be \"off\" or a time of at least 2s", value);
    }
    *out = static_cast<ngx_msec_t>(ms);
    return NGX_CONF_OK;
}

char* read_parameter(ngx_conf_t* cf, const ngx_str_t& value, FleetConf* fleet) noexcept {
    ngx_str_t rest;
    char* rv = NGX_CONF_OK;
    if (read_peer_parameter(cf, value, &fleet->peers, &rv)) {
        return rv;
    }
    if (parameter(value, "stream=", &rest)) {
        fleet->stream = rest;
        return rest.len != 0 ? NGX_CONF_OK : fail(cf, "invalid stream in \"%V\", it is a key of the server", value);
    }
    if (parameter(value, "node=", &rest)) {
        fleet->node = rest;
        return is_node_name(view(rest))
                   ? NGX_CONF_OK
                   : fail(cf, "invalid node \"%V\", it must be a name of at most 64 characters without \"/\"", rest);
    }
    if (parameter(value, "maxlen=", &rest)) {
        return read_maxlen(rest, &fleet->maxlen)
                   ? NGX_CONF_OK
                   : fail(cf, "invalid maxlen value \"%V\", it must be a number of entries, 1000 at least", rest);
    }
    if (parameter(value, "blind=", &rest)) {
        return read_blind(cf, rest, &fleet->blind);
    }
    if (parameter(value, "on_gap=", &rest)) {
        fleet->is_hard_on_gap = view(rest) == "hard";
        return fleet->is_hard_on_gap || view(rest) == "soft"
                   ? NGX_CONF_OK
                   : fail(cf, "invalid on_gap value \"%V\", it must be \"soft\" or \"hard\"", rest);
    }
    return invalid_parameter(
        cf, value,
        "it must be \"stream=key\", \"node=name\", \"maxlen=number\", \"blind=time\", \"on_gap=soft\", "
        "\"on_gap=hard\", " SLAB_PEER_PARAMETERS);
}

char* read_servers(ngx_conf_t* cf, const ngx_str_t& value, FleetConf* fleet) noexcept {
    for (const PeerScheme& scheme : kSchemes) {
        if (base::starts_with(view(value), scheme.prefix)) {
            return read_peers(cf, value, scheme, &fleet->peers);
        }
    }
    return fail(cf, "invalid server \"%V\", it must be \"redis://host[:port][,…][/database]\" or \"rediss://…\"",
                value);
}

// A hash tag puts both keys into one slot of a cluster.
bool name_nodes_key(ngx_conf_t* cf, FleetConf* fleet) noexcept {
    constexpr Bytes kEnd = ":nodes";
    const bool is_tagged = view(fleet->stream).find('{') != Bytes::npos;
    fleet->nodes.data = static_cast<u_char*>(ngx_pnalloc(cf->pool, fleet->stream.len + kEnd.size() + 2));
    if (fleet->nodes.data == nullptr) {
        return false;
    }
    u_char* end = ngx_sprintf(fleet->nodes.data, is_tagged ? "%V" : "{%V}", &fleet->stream);
    end = ngx_cpymem(end, kEnd.data(), kEnd.size());
    fleet->nodes.len = static_cast<size_t>(end - fleet->nodes.data);
    return true;
}

FleetConf* make_fleet(ngx_conf_t* cf, const ngx_str_t& name) noexcept {
    auto* fleet = pool_new<FleetConf>(cf->pool);
    if (fleet == nullptr || !init_peers(cf, &fleet->peers) ||
        ngx_array_init(&fleet->zones, cf->pool, 2, sizeof(Zone*)) != NGX_OK) {
        return nullptr;
    }
    fleet->name = name;
    fleet->maxlen = kMaxlen;
    fleet->blind = kBlindMs;
    fleet->node = {cf->cycle->hostname.len, cf->cycle->hostname.data};
    fleet->file = cf->conf_file->file.name;
    fleet->line = cf->conf_file->line;
    constexpr Bytes kLabel = "slab_cache_fleet \"\"";
    fleet->peers.label.data = static_cast<u_char*>(ngx_pnalloc(cf->pool, kLabel.size() + name.len));
    if (fleet->peers.label.data == nullptr) {
        return nullptr;
    }
    u_char* end = ngx_sprintf(fleet->peers.label.data, "slab_cache_fleet \"%V\"", &name);
    fleet->peers.label.len = static_cast<size_t>(end - fleet->peers.label.data);
    return fleet;
}

bool add_member(FleetConf* fleet, Zone* zone) noexcept {
    auto** slot = static_cast<Zone**>(ngx_array_push(&fleet->zones));
    if (slot != nullptr) {
        *slot = zone;
        zone->fleet = fleet;
    }
    return slot != nullptr;
}

}  // namespace

FleetConf* fleet_by_name(const MainConf* mcf, Bytes name) noexcept {
    auto** fleets = static_cast<FleetConf**>(mcf->fleets.elts);
    for (ngx_uint_t i = 0; i < mcf->fleets.nelts; i++) {
        if (view(fleets[i]->name) == name) {
            return fleets[i];
        }
    }
    return nullptr;
}

char* set_fleet(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* mcf = static_cast<MainConf*>(conf);
    const auto* value = static_cast<ngx_str_t*>(cf->args->elts);
    if (char* rv = check_peers_name(cf, value[1]); rv != NGX_CONF_OK) {
        return rv;
    }
    if (fleet_by_name(mcf, view(value[1])) != nullptr) {
        return fail(cf, "slab_cache_fleet \"%V\" is already defined", value[1]);
    }
    FleetConf* fleet = make_fleet(cf, value[1]);
    auto** slot = fleet != nullptr ? static_cast<FleetConf**>(ngx_array_push(&mcf->fleets)) : nullptr;
    if (slot == nullptr) {
        return error();
    }
    if (char* rv = read_servers(cf, value[2], fleet); rv != NGX_CONF_OK) {
        return rv;
    }
    for (ngx_uint_t i = 3; i < cf->args->nelts; i++) {
        if (char* rv = read_parameter(cf, value[i], fleet); rv != NGX_CONF_OK) {
            return rv;
        }
    }
    if (fleet->stream.len == 0) {
        return const_cast<char*>("must have \"stream\" parameter");
    }
    if (!is_node_name(view(fleet->node))) {
        return fail(cf, "the host's name \"%V\" is no name for a node, give it one by node=", fleet->node);
    }
    *slot = fleet;
    return name_nodes_key(cf, fleet) ? finish_peers(cf, &fleet->peers) : error();
}

char* check_fleets(ngx_conf_t* cf, void* conf) noexcept {
    auto* mcf = static_cast<MainConf*>(conf);
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        Zone* zone = zones[i];
        if (zone->fleet_name.len == 0) {
            continue;
        }
        FleetConf* fleet = fleet_by_name(mcf, view(zone->fleet_name));
        if (fleet == nullptr) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "slab_cache zone \"%V\" names fleet=%V, and there is no slab_cache_fleet %V in %V:%ui",
                          &zone->name, &zone->fleet_name, &zone->fleet_name, &zone->named_in, zone->named_at);
            return error();
        }
        if (!add_member(fleet, zone)) {
            return error();
        }
    }
    auto** fleets = static_cast<FleetConf**>(mcf->fleets.elts);
    for (ngx_uint_t i = 0; i < mcf->fleets.nelts; i++) {
        if (fleets[i]->zones.nelts == 0) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "slab_cache_fleet \"%V\" in %V:%ui has no slab_cache_zone with fleet=%V", &fleets[i]->name,
                          &fleets[i]->file, fleets[i]->line, &fleets[i]->name);
        }
    }
    return NGX_CONF_OK;
}

bool complete_fleets(ngx_conf_t* cf) noexcept {
    MainConf* mcf = main_conf(cf);
    auto** fleets = static_cast<FleetConf**>(mcf->fleets.elts);
    for (ngx_uint_t i = 0; i < mcf->fleets.nelts; i++) {
        if (!complete_peers(cf, &fleets[i]->peers)) {
            return false;
        }
    }
    return true;
}

}  // namespace slab_cache::ngx
