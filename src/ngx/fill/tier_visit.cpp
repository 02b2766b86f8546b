#include "ngx/glue/ngx.h"

#include "ngx/fill/tier_visit.h"

#include "ngx/fill/fetch.h"
#include "ngx/fill/tier_read.h"

namespace slab_cache::ngx {
namespace {

Bytes current_spec(const TierVisit* visit) noexcept { return visit->specs != 0 ? visit->spec[visit->asked] : Bytes{}; }

// A marker names what the responses of this key vary on, the newest first.
bool take_marker(TierVisit* visit, const cache::TierValue& value, TierMiss* why) noexcept {
    *why = TierMiss::kForeign;
    if (visit->specs != 0 || (!value.key.empty() && value.key != visit->place.text)) {
        return false;
    }
    uint32_t n = 0;
    for (; n < value.specs; n++) {
        if (!pool_copy(visit->place.of.url.pool, value.spec[n], &visit->spec[n])) {
            return false;
        }
    }
    visit->has_marker = n != 0;
    visit->specs = n;
    visit->asked = 0;
    return visit->has_marker;
}

bool take(Bytes bytes, TierMiss* why, void* data) noexcept {
    auto* visit = static_cast<TierVisit*>(data);
    cache::TierValue value;
    const cache::ValueFault fault = cache::read_tier_value(bytes, wall_sec(), &value);
    if (fault != cache::ValueFault::kNone) {
        *why = TierMiss::kNonsense;
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0, "slab_cache_tier \"%V\": a value is no response: %s",
                      &visit->place.conf->name, cache::fault_sentence(fault));
        return false;
    }
    if (value.is_marker()) {
        return take_marker(visit, value, why);
    }
    return store_tier_value(visit->place, value, current_spec(visit), visit->fresher_than, why);
}

bool ask(TierVisit* visit) noexcept;

void answered(const TierAnswer& answer, void* data) noexcept {
    auto* visit = static_cast<TierVisit*>(data);
    visit->ask = nullptr;
    visit->has_waited = visit->has_waited || answer.has_waited;
    visit->miss = answer.miss;
    visit->hold = answer.hold;
    const bool goes_on = answer.is_hit ? visit->has_marker : ++visit->asked < visit->specs;
    visit->has_marker = false;
    if (goes_on && !visit->hold && ask(visit)) {
        return;
    }
    visit->is_over = true;
    visit->is_hit = answer.is_hit && !goes_on;
    if (visit->is_hit) {
        TierArea* area = visit->place.conf->area;
        count(area, TierFigure::kHits);
        if (visit->has_waited) {
            count(area, TierFigure::kLeasesWaited);
        }
    }
    visit->ended(visit);
}

// Of several specs the newest is asked for last, with the lease: what it names is what the origin is asked for.
bool ask(TierVisit* visit) noexcept {
    cache::StoreKey key;
    const bool is_last = visit->specs == 0 || visit->asked + 1 == visit->specs;
    if (visit->specs != 0 && visit->asked == 0 && visit->specs > 1) {
        const Bytes newest = visit->spec[0];
        for (uint32_t i = 1; i < visit->specs; i++) {
            visit->spec[i - 1] = visit->spec[i];
        }
        visit->spec[visit->specs - 1] = newest;
    }
    const bool has_key = visit->specs != 0 ? variant_key_of(visit->place, visit->spec[visit->asked], &key)
                                           : object_key_of(visit->place, &key);
    const TierAsker asker = {take, answered, visit};
    visit->miss = TierMiss::kError;
    visit->ask =
        has_key ? ask_tier(visit->place.conf, key, is_last && visit->place.conf->writes, asker, &visit->miss) : nullptr;
    return visit->ask != nullptr;
}

}  // namespace

bool start_visit(TierVisit* visit) noexcept {
    visit->is_over = !ask(visit);
    return !visit->is_over;
}

void leave_visit(TierVisit* visit) noexcept {
    if (visit->ask != nullptr) {
        cancel_ask(visit->ask);
        visit->ask = nullptr;
    }
    give_back(&visit->hold);
    give_back(visit->place.of.zone, visit->lease);
    visit->lease = {};
}

}  // namespace slab_cache::ngx
