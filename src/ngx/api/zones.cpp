#include "ngx/glue/ngx.h"

#include "ngx/api/zones.h"

#include <jansson.h>

#include "base/version.h"
#include "ngx/api/api.h"
#include "ngx/request/accounting.h"
#include "ngx/glue/reply.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

struct CounterRow {
    const char* name;
    Counter counter;
};

constexpr CounterRow kCounters[] = {
    {"hits", Counter::kHit},
    {"misses", Counter::kMiss},
    {"expired", Counter::kExpired},
    {"stale", Counter::kStale},
    {"updating", Counter::kUpdating},
    {"revalidated", Counter::kRevalidated},
    {"bypassed", Counter::kBypass},
    {"passed", Counter::kPass},
    {"fills", Counter::kFills},
    {"fills_background", Counter::kBackgroundFills},
    {"fills_stored", Counter::kFillsStored},
    {"fills_failed", Counter::kFillsFailed},
    {"fills_refused", Counter::kFillsRefused},
    {"waits", Counter::kWaits},
    {"purges", Counter::kPurges},
    {"purge_selectors", Counter::kPurgeSelectors},
    {"early_hints", Counter::kEarlyHints},
    {"pushes", Counter::kPushes},
    {"corrupt", Counter::kCorrupt},
    {"bytes_from_cache", Counter::kBytesFromCache},
    {"bytes_from_origin", Counter::kBytesFromOrigin},
    {"origin_ms", Counter::kOriginMs},
    {"saved_us", Counter::kSavedUs},
    {"hit_us", Counter::kHitUs},
    {"miss_us", Counter::kMissUs},
};

void put(json_t* to, const char* name, uint64_t value) noexcept {
    json_object_set_new(to, name, json_integer(static_cast<json_int_t>(value)));
}

json_t* memory_json(const shm::Stats& s) noexcept {
    json_t* m = json_object();
    put(m, "zone_bytes", s.zone_bytes);
    put(m, "overhead_bytes", s.overhead_bytes);
    put(m, "capacity_bytes", s.capacity_bytes);
    put(m, "used_bytes", s.used_bytes);
    put(m, "live_bytes", s.live_bytes);
    put(m, "retired_bytes", s.retired_bytes);
    put(m, "filling_bytes", s.filling_bytes);
    put(m, "blocks_free", s.blocks_free);
    put(m, "blocks_page", s.blocks_page);
    put(m, "blocks_tail", s.blocks_tail);
    return m;
}

json_t* counters_json(Zone* zone) noexcept {
    json_t* c = json_object();
    for (const CounterRow& row : kCounters) {
        put(c, row.name, counter_sum(zone, row.counter));
    }
    return c;
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
    if (!usable(zone)) {
        return z;
    }
    const shm::Stats s = zone->store.stats();
    put(z, "entries", s.entries);
    put(z, "index_slots", s.index_slots);
    put(z, "shards", s.shards);
    put(z, "purge_seq", s.purge_seq);
    put(z, "purge_records", s.purge_records);
    put(z, "workers", s.workers_live);
    put(z, "pins", s.pins);
    put(z, "eviction_age_sec", s.eviction_age_sec);
    json_object_set_new(z, "memory", memory_json(s));
    json_object_set_new(z, "counters", counters_json(zone));
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
    return send_json(call->request, NGX_HTTP_OK, json_pack("{s:s,s:o}", "version", base::kVersion, "zones", list));
}

ngx_int_t send_zone(Call* call) noexcept { return send_json(call->request, NGX_HTTP_OK, zone_json(call->zone)); }

}  // namespace slab_cache::ngx
