#include "ngx/glue/ngx.h"

#include "ngx/api/fleet_call.h"

#include <jansson.h>

#include "ngx/api/api.h"
#include "ngx/fleet/fleet_state.h"
#include "ngx/glue/reply.h"

namespace slab_cache::ngx {
namespace {

void put(json_t* to, const char* name, uint64_t value) noexcept {
    json_object_set_new(to, name, json_integer(static_cast<json_int_t>(value)));
}

void put(json_t* to, const char* name, Bytes text) noexcept { json_object_set_new(to, name, json_text(text)); }

json_t* nodes_json(const FleetState& state) noexcept {
    json_t* list = json_array();
    for (uint32_t i = 0; i < cache::kFleetNodes; i++) {
        cache::FleetNode node;
        if (!cache::read_node(*state.area, i, &node)) {
            continue;
        }
        json_t* one = json_object();
        put(one, "name", node.name);
        put(one, "state", node_state_word(state, node));
        put(one, "position", cache::StreamIdText(node.position).view());
        put(one, "heard_ms", state.now_ms > node.clear_ms ? state.now_ms - node.clear_ms : 0);
        json_array_append_new(list, one);
    }
    return list;
}

json_t* counters_json(const FleetState& state) noexcept {
    json_t* c = json_object();
    for (const FleetFigure& figure : kFleetFigures) {
        put(c, figure.name, figure.value(*state.area).load_relaxed());
    }
    json_t* gaps = json_object();
    for (uint32_t i = 0; i < cache::kGaps; i++) {
        put(gaps, cache::gap_word(static_cast<cache::Gap>(i)), state.area->figures.gaps[i].load_relaxed());
    }
    json_object_set_new(c, "gaps", gaps);
    return c;
}

json_t* zone_json(Zone* zone) noexcept {
    FleetState state;
    json_t* z = json_object();
    put(z, "zone", view(zone->name));
    json_object_set_new(z, "available", json_boolean(read_fleet_state(zone, &state)));
    if (state.area == nullptr) {
        return z;
    }
    json_object_set_new(z, "connected", json_boolean(state.is_connected));
    put(z, "server", state.server);
    put(z, "holder", state.holder);
    put(z, "position", cache::StreamIdText(state.position.id).view());
    put(z, "lag_ms", state.lag_ms);
    put(z, "unheard_ms", state.unheard_ms);
    json_t* outbox = json_object();
    put(outbox, "waiting", state.waiting);
    put(outbox, "oldest_ms", state.oldest_ms);
    put(outbox, "untold", state.untold);
    json_object_set_new(z, "outbox", outbox);
    json_object_set_new(z, "counters", counters_json(state));
    json_object_set_new(z, "nodes", nodes_json(state));
    return z;
}

json_t* fleet_json(const FleetConf& fleet) noexcept {
    json_t* f = json_object();
    put(f, "name", view(fleet.name));
    put(f, "stream", view(fleet.stream));
    put(f, "node", view(fleet.node));
    put(f, "blind_ms", fleet.blind);
    put(f, "on_gap", fleet.is_hard_on_gap ? Bytes("hard") : Bytes("soft"));
    json_t* zones = json_array();
    for (ngx_uint_t i = 0; i < fleet.zones.nelts; i++) {
        json_array_append_new(zones, zone_json(static_cast<Zone**>(fleet.zones.elts)[i]));
    }
    json_object_set_new(f, "zones", zones);
    return f;
}

}  // namespace

ngx_int_t send_fleet(Call* call) noexcept {
    const MainConf* mcf = main_conf(call->request);
    auto** fleets = static_cast<FleetConf**>(mcf->fleets.elts);
    json_t* list = json_array();
    for (ngx_uint_t i = 0; i < mcf->fleets.nelts; i++) {
        json_array_append_new(list, fleet_json(*fleets[i]));
    }
    return send_json(call->request, NGX_HTTP_OK, json_pack("{s:o}", "fleets", list));
}

}  // namespace slab_cache::ngx
