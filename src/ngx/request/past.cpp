#include "ngx/glue/ngx.h"

#include "ngx/request/past.h"

#include "cache/history.h"
#include "ngx/conf/conf.h"
#include "ngx/request/accounting.h"
#include "ngx/zone/user_area.h"
#include "shm/counters.h"

namespace slab_cache::ngx {
namespace {

using cache::Past;

uint64_t sum(Zone* zone, std::initializer_list<Counter> counters) noexcept {
    uint64_t n = 0;
    for (const Counter c : counters) {
        n += counter_sum(zone, c);
    }
    return n;
}

cache::PastRow count_up(Zone* zone) noexcept {
    cache::PastRow row;
    row.at_sec = now_sec();
    row[Past::kHits] = sum(zone, {Counter::kHit});
    row[Past::kStale] = sum(zone, {Counter::kStale, Counter::kUpdating});
    row[Past::kRequests] =
        row[Past::kHits] + row[Past::kStale] +
        sum(zone, {Counter::kMiss, Counter::kExpired, Counter::kRevalidated, Counter::kBypass, Counter::kPass});
    row[Past::kFills] = sum(zone, {Counter::kFills});
    row[Past::kFillsFailed] = sum(zone, {Counter::kFillsFailed});
    row[Past::kEvicted] = zone->store.counter_sum(static_cast<uint32_t>(shm::Counter::kEvicted));
    row[Past::kPurges] = sum(zone, {Counter::kPurges});
    row[Past::kBytesFromCache] = sum(zone, {Counter::kBytesFromCache});
    row[Past::kBytesFromOrigin] = sum(zone, {Counter::kBytesFromOrigin});
    row[Past::kSent5xx] = sum(zone, {Counter::kSent5xx});
    return row;
}

void note_past(Zone* zone) noexcept {
    UserArea* area = user_area(zone);
    if (area != nullptr && cache::claim_past(&area->past, now_sec())) {
        cache::write_past(&area->past, count_up(zone));
    }
}

}  // namespace

void keep_past(ngx_cycle_t* cycle) noexcept {
    if (cycle->conf_ctx[ngx_http_module.index] == nullptr) {
        return;  // no http {} in this configuration
    }
    auto* mcf = static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_slab_cache_module));
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        zones[i]->note_past = note_past;
    }
}

}  // namespace slab_cache::ngx
