#include "ngx/glue/ngx.h"

#include "ngx/api/tier_call.h"

#include <jansson.h>

#include "ngx/api/api.h"
#include "ngx/glue/reply.h"
#include "ngx/tier/tier_conf.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

void put(json_t* to, const char* name, uint64_t value) noexcept {
    json_object_set_new(to, name, json_integer(static_cast<json_int_t>(value)));
}

void put(json_t* to, const char* name, Bytes text) noexcept { json_object_set_new(to, name, json_text(text)); }

json_t* servers_json(const TierConf& tier) noexcept {
    json_t* list = json_array();
    for (ngx_uint_t i = 0; i < tier.servers.nelts; i++) {
        json_array_append_new(list, json_text(tier.server_names[i]));
    }
    return list;
}

json_t* counters_json(const TierArea& area) noexcept {
    json_t* c = json_object();
    for (uint32_t i = 0; i < kTierFigures; i++) {
        put(c, kTierFigureRows[i].name, area.figure[i].load_relaxed());
    }
    json_t* misses = json_object();
    for (uint32_t i = 0; i < kTierMisses; i++) {
        put(misses, tier_miss_word(static_cast<TierMiss>(i)), area.miss[i].load_relaxed());
    }
    json_object_set_new(c, "misses", misses);
    return c;
}

json_t* tier_json(const TierConf& tier) noexcept {
    json_t* t = json_object();
    put(t, "name", view(tier.name));
    put(t, "kind", tier.kind == TierKind::kRedis ? Bytes("redis") : Bytes("memcached"));
    json_object_set_new(t, "servers", servers_json(tier));
    put(t, "prefix", view(tier.prefix));
    put(t, "timeout_ms", tier.timeout);
    put(t, "lease_ms", tier.lease);
    put(t, "max_object", tier.max_object);
    json_object_set_new(t, "write", json_boolean(tier.writes));
    put(t, "fleet", view(tier.fleet_name));
    json_object_set_new(t, "circuit_open", json_boolean(is_circuit_open(*tier.area, now_ms())));
    json_object_set_new(t, "counters", counters_json(*tier.area));
    return t;
}

}  // namespace

ngx_int_t send_tier(Call* call) noexcept {
    const MainConf* mcf = main_conf(call->request);
    auto** tiers = static_cast<TierConf**>(mcf->tiers.elts);
    json_t* list = json_array();
    for (ngx_uint_t i = 0; i < mcf->tiers.nelts; i++) {
        json_array_append_new(list, tier_json(*tiers[i]));
    }
    return send_json(call->request, NGX_HTTP_OK, json_pack("{s:o}", "tiers", list));
}

}  // namespace slab_cache::ngx
