#include "ngx/glue/ngx.h"

#include "ngx/api/zones.h"

#include <jansson.h>

#include "base/version.h"
#include "ngx/api/api.h"
#include "ngx/api/metric_rows.h"
#include "ngx/glue/reply.h"
#include "ngx/zone/zone.h"
#include "shm/counters.h"

namespace slab_cache::ngx {
namespace {

void put(json_t* to, const char* name, uint64_t value) noexcept {
    json_object_set_new(to, name, json_integer(static_cast<json_int_t>(value)));
}

// Each row under its name; what is counted, and what its name says so, in an object of its own.
void put_metrics(json_t* z, Zone* zone) noexcept {
    static constexpr Bytes kMemory = "memory.";
    const shm::Stats s = zone->store.stats();
    json_t* memory = json_object();
    json_t* counters = json_object();
    for (const MetricRow& row : kMetricRows) {
        if (row.member.empty()) {
            continue;
        }
        const bool is_memory = base::starts_with(row.member, kMemory);
        put(row.is_counted() ? counters
            : is_memory      ? memory
                             : z,
            row.member.data() + (is_memory ? kMemory.size() : 0), row.value(zone, s));
    }
    put(counters, "evicted", zone->store.counter_sum(static_cast<uint32_t>(shm::Counter::kEvicted)));
    json_object_set_new(z, "memory", memory);
    json_object_set_new(z, "counters", counters);
}

// How often each reason was met, and what those words mean.
void put_reasons(json_t* z, Zone* zone) noexcept {
    json_t* reasons = json_object();
    json_t* sentences = json_object();
    for (uint32_t i = 1; i < http::kReasonCount; i++) {
        const uint64_t n = zone->store.counter_sum(static_cast<uint32_t>(Counter::kReasonFirst) + i);
        const Bytes word = http::reason_word(static_cast<http::Reason>(i));
        char name[64];
        if (n != 0 && word.size() < sizeof(name)) {
            ngx_memcpy(name, word.data(), word.size());
            name[word.size()] = '\0';
            put(reasons, name, n);
            json_object_set_new(sentences, name, json_text(http::reason_sentence(static_cast<http::Reason>(i))));
        }
    }
    json_object_set_new(z, "reasons", reasons);
    json_object_set_new(z, "sentences", sentences);
}

json_t* zone_json(Zone* zone) noexcept {
    json_t* z = json_object();
    json_object_set_new(z, "name", json_text(view(zone->name)));
    json_object_set_new(z, "available", json_boolean(usable(zone)));
    if (zone->file.path.len != 0) {
        json_object_set_new(z, "file", json_text(view(zone->file.path)));
    }
    if (!usable(zone)) {
        return z;
    }
    put_metrics(z, zone);
    put_reasons(z, zone);
    return z;
}

}  // namespace

ngx_int_t send_zones(Call* call) noexcept {
    MainConf* mcf = main_conf(call->request);
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    json_t* list = json_array();
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        json_array_append_new(list, zone_json(zones[i]));
    }
    const time_t now = ngx_time();
    return send_json(call->request, NGX_HTTP_OK,
                     json_pack("{s:s, s:I, s:I, s:o}", "version", base::kVersion, "uptime_sec",
                               static_cast<json_int_t>(now - mcf->started), "configuration_age_sec",
                               static_cast<json_int_t>(now - mcf->loaded), "zones", list));
}

ngx_int_t send_zone(Call* call) noexcept { return send_json(call->request, NGX_HTTP_OK, zone_json(call->zone)); }

}  // namespace slab_cache::ngx
