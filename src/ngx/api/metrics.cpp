#include "ngx/glue/ngx.h"

#include "ngx/api/metrics.h"

#include "base/version.h"
#include "ngx/api/api.h"
#include "ngx/conf/conf.h"
#include "ngx/fleet/fleet_state.h"
#include "ngx/api/metric_rows.h"
#include "ngx/tier/tier_conf.h"
#include "ngx/glue/reply.h"
#include "ngx/zone/zone.h"
#include "shm/counters.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kBytesPerZone = 28 * 1024;
constexpr size_t kBytesOfHelp = 32 * 1024;
constexpr size_t kBytesPerTier = 8 * 1024;
constexpr ngx_uint_t kMostMembers = 16;  // zones of fleets that are shown

// Text that is written once, in order; what does not fit is remembered as such.
struct Text {
    u_char* start;
    u_char* at;
    u_char* end;

    bool overflowed() const noexcept { return at == end; }
    template <class... Args>
    void add(const char* format, Args... args) noexcept {
        at = ngx_slprintf(at, end, format, args...);
    }
};

struct Zones {
    Zone** zone;
    ngx_uint_t count;
    shm::Stats* stats;
};

void add_head(Text* t, const char* name, const char* type, const char* help) noexcept {
    t->add("# HELP slab_cache_%s %s\n# TYPE slab_cache_%s %s\n", name, help, name, type);
}

void add_build(Text* t) noexcept {
    add_head(t, "build_info", "gauge",
             "Version of the module, of its zones' layout, and of the nginx it was built for.");
    t->add("slab_cache_build_info{version=\"%s\",layout=\"%uD\",nginx=\"%s\"} 1\n", base::kVersion, shm::kLayoutVersion,
           NGINX_VERSION);
}

void add_number(Text* t, uint64_t value, uint32_t per) noexcept {
    if (per == 1) {
        t->add(" %uL\n", value);
        return;
    }
    t->add(" %uL.%06uL\n", value / per, value % per * (1000000 / per));
}

void add_sample(Text* t, const MetricRow& row, Zone* zone, const shm::Stats& stats) noexcept {
    const ngx_str_t family = to_str(row.family);
    t->add("slab_cache_%V{zone=\"%V\"", &family, &zone->name);
    if (!row.label.empty()) {
        const size_t at = row.label.find('=');
        const ngx_str_t name = to_str(base::slice(row.label, 0, at));
        const ngx_str_t value = to_str(base::slice(row.label, at + 1));
        t->add(",%V=\"%V\"", &name, &value);
    }
    t->add("}");
    add_number(t, row.value(zone, stats), row.per);
}

void add_family(Text* t, const MetricRow& first, const Zones& zones) noexcept {
    add_head(t, first.family.data(), first.is_counted() ? "counter" : "gauge", first.help);
    for (ngx_uint_t z = 0; z < zones.count; z++) {
        for (const MetricRow& row : kMetricRows) {
            if (row.family == first.family) {
                add_sample(t, row, zones.zone[z], zones.stats[z]);
            }
        }
    }
}

void add_reasons(Text* t, const Zones& zones) noexcept {
    add_head(t, "refusals_total", "counter", "Requests passed and responses not stored, by reason.");
    for (ngx_uint_t z = 0; z < zones.count; z++) {
        for (uint32_t i = 1; i < http::kReasonCount; i++) {
            const ngx_str_t word = to_str(http::reason_word(static_cast<http::Reason>(i)));
            t->add("slab_cache_refusals_total{zone=\"%V\",reason=\"%V\"} %uL\n", &zones.zone[z]->name, &word,
                   counter_sum(zones.zone[z], Counter::kReasonFirst, i));
        }
    }
}

void add_store_counters(Text* t, const Zones& zones) noexcept {
    for (uint32_t i = 0; i < static_cast<uint32_t>(shm::Counter::kEnd); i++) {
        const shm::CounterRow& row = shm::kCounterRows[i];
        t->add("# HELP slab_cache_store_%s_total Store: %s.\n# TYPE slab_cache_store_%s_total counter\n", row.word,
               row.sentence, row.word);
        for (ngx_uint_t z = 0; z < zones.count; z++) {
            t->add("slab_cache_store_%s_total{zone=\"%V\"} %uL\n", row.word, &zones.zone[z]->name,
                   zones.zone[z]->store.counter_sum(i));
        }
    }
}

void add_histogram(Text* t, const Zones& zones, const char* name, const char* help,
                   const uint32_t (&bounds)[cache::kBounds], Counter first, Counter sum) noexcept {
    add_head(t, name, "histogram", help);
    for (ngx_uint_t z = 0; z < zones.count; z++) {
        const ngx_str_t* zone = &zones.zone[z]->name;
        uint64_t below = 0;
        for (uint32_t i = 0; i < cache::kBounds; i++) {
            below += counter_sum(zones.zone[z], first, i);
            t->add("slab_cache_%s_bucket{zone=\"%V\",le=\"%uD.%06uD\"} %uL\n", name, zone, bounds[i] / 1000000,
                   bounds[i] % 1000000, below);
        }
        below += counter_sum(zones.zone[z], first, cache::kBounds);
        t->add("slab_cache_%s_bucket{zone=\"%V\",le=\"+Inf\"} %uL\n", name, zone, below);
        t->add("slab_cache_%s_sum{zone=\"%V\"}", name, zone);
        add_number(t, counter_sum(zones.zone[z], sum), 1000000);
        t->add("slab_cache_%s_count{zone=\"%V\"} %uL\n", name, zone, below);
    }
}

struct FleetGauge {
    const char* name;
    const char* help;
    uint64_t (*value)(const FleetState& state) noexcept;
    uint32_t per;
};
constexpr FleetGauge kFleetGauges[] = {
    {"connected", "1 while the zone's fleet is connected.",
     [](const FleetState& s) noexcept -> uint64_t { return s.is_connected; }, 1},
    {"lag_seconds", "What was put into the stream so long ago is purged here.",
     [](const FleetState& s) noexcept { return s.lag_ms; }, 1000},
    {"unheard_seconds", "What any node purged longer ago is purged here; beyond blind= everything stored is in doubt.",
     [](const FleetState& s) noexcept { return s.unheard_ms; }, 1000},
    {"queued", "Purges that wait to be published.",
     [](const FleetState& s) noexcept -> uint64_t { return s.waiting + s.untold; }, 1},
};

struct Members {
    Zone* zone[kMostMembers];
    FleetState state[kMostMembers];
    ngx_uint_t count = 0;
};

void add_fleet_nodes(Text* t, const Members& members) noexcept {
    add_head(t, "fleet_nodes", "gauge", "Other nodes of the zone's fleet, by state.");
    for (ngx_uint_t m = 0; m < members.count; m++) {
        uint64_t live = 0;
        uint64_t silent = 0;
        for (uint32_t i = 0; i < cache::kFleetNodes; i++) {
            cache::FleetNode node;
            if (cache::read_node(*members.state[m].area, i, &node)) {
                ++(node.state == cache::NodeState::kSilent ? silent : live);
            }
        }
        t->add("slab_cache_fleet_nodes{zone=\"%V\",state=\"live\"} %uL\n", &members.zone[m]->name, live);
        t->add("slab_cache_fleet_nodes{zone=\"%V\",state=\"silent\"} %uL\n", &members.zone[m]->name, silent);
    }
}

void add_fleet_gaps(Text* t, const Members& members) noexcept {
    add_head(t, "fleet_gaps_total", "counter",
             "Gaps in what was read of the stream, by reason: everything stored was in doubt.");
    for (ngx_uint_t m = 0; m < members.count; m++) {
        for (uint32_t i = 0; i < cache::kGaps; i++) {
            t->add("slab_cache_fleet_gaps_total{zone=\"%V\",reason=\"%s\"} %uL\n", &members.zone[m]->name,
                   cache::gap_word(static_cast<cache::Gap>(i)), members.state[m].area->figures.gaps[i].load_relaxed());
        }
    }
}

// Zones with fleet= only.
void add_fleets(Text* t, const Zones& zones, Members* members) noexcept {
    for (ngx_uint_t z = 0; z < zones.count && members->count < kMostMembers; z++) {
        if (zones.zone[z]->fleet != nullptr && read_fleet_state(zones.zone[z], &members->state[members->count])) {
            members->zone[members->count++] = zones.zone[z];
        }
    }
    if (members->count == 0) {
        return;
    }
    for (const FleetGauge& g : kFleetGauges) {
        t->add("# HELP slab_cache_fleet_%s %s\n# TYPE slab_cache_fleet_%s gauge\n", g.name, g.help, g.name);
        for (ngx_uint_t m = 0; m < members->count; m++) {
            t->add("slab_cache_fleet_%s{zone=\"%V\"}", g.name, &members->zone[m]->name);
            add_number(t, g.value(members->state[m]), g.per);
        }
    }
    for (const FleetFigure& f : kFleetFigures) {
        t->add("# HELP slab_cache_fleet_%s_total %s\n# TYPE slab_cache_fleet_%s_total counter\n", f.name, f.help,
               f.name);
        for (ngx_uint_t m = 0; m < members->count; m++) {
            t->add("slab_cache_fleet_%s_total{zone=\"%V\"} %uL\n", f.name, &members->zone[m]->name,
                   f.value(*members->state[m].area).load_relaxed());
        }
    }
    add_fleet_gaps(t, *members);
    add_fleet_nodes(t, *members);
}

void add_tier_family(Text* t, const MainConf& mcf, const char* name, const char* type, const char* help,
                     uint64_t (*value)(const TierArea& area, uint32_t i) noexcept, uint32_t i) noexcept {
    auto** tiers = static_cast<TierConf**>(mcf.tiers.elts);
    t->add("# HELP slab_cache_tier_%s %s\n# TYPE slab_cache_tier_%s %s\n", name, help, name, type);
    for (ngx_uint_t n = 0; n < mcf.tiers.nelts && n < kMostMembers; n++) {
        t->add("slab_cache_tier_%s{tier=\"%V\"} %uL\n", name, &tiers[n]->name, value(*tiers[n]->area, i));
    }
}

void add_tiers(Text* t, const MainConf& mcf) noexcept {
    if (mcf.tiers.nelts == 0) {
        return;
    }
    char name[64];
    for (uint32_t i = 0; i < kTierFigures; i++) {
        *ngx_sprintf(reinterpret_cast<u_char*>(name), "%s_total", kTierFigureRows[i].name) = 0;
        add_tier_family(
            t, mcf, name, "counter", kTierFigureRows[i].help,
            [](const TierArea& area, uint32_t n) noexcept { return area.figure[n].load_relaxed(); }, i);
    }
    add_tier_family(
        t, mcf, "circuit_open", "gauge", "1 while a worker does not ask a server, for it did not answer in time.",
        [](const TierArea& area, uint32_t) noexcept -> uint64_t { return is_circuit_open(area, now_ms()); }, 0);
    t->add(
        "# HELP slab_cache_tier_misses_total Misses that the store did not answer, by reason.\n"
        "# TYPE slab_cache_tier_misses_total counter\n");
    auto** tiers = static_cast<TierConf**>(mcf.tiers.elts);
    for (ngx_uint_t n = 0; n < mcf.tiers.nelts && n < kMostMembers; n++) {
        for (uint32_t i = 0; i < kTierMisses; i++) {
            t->add("slab_cache_tier_misses_total{tier=\"%V\",reason=\"%s\"} %uL\n", &tiers[n]->name,
                   tier_miss_word(static_cast<TierMiss>(i)), tiers[n]->area->miss[i].load_relaxed());
        }
    }
}

// The zones that this worker can look into.
bool list_zones(ngx_http_request_t* r, Zones* out) noexcept {
    const ngx_array_t& all = main_conf(r)->zones;
    out->zone = static_cast<Zone**>(ngx_palloc(r->pool, (all.nelts + 1) * sizeof(Zone*)));
    out->stats = static_cast<shm::Stats*>(ngx_palloc(r->pool, (all.nelts + 1) * sizeof(shm::Stats)));
    out->count = 0;
    if (out->zone == nullptr || out->stats == nullptr) {
        return false;
    }
    for (ngx_uint_t i = 0; i < all.nelts; i++) {
        Zone* zone = static_cast<Zone**>(all.elts)[i];
        if (usable(zone)) {
            out->stats[out->count] = zone->store.stats();
            out->zone[out->count++] = zone;
        }
    }
    return true;
}

}  // namespace

ngx_int_t send_metrics(Call* call) noexcept {
    ngx_http_request_t* r = call->request;
    Zones zones;
    if (!list_zones(r, &zones)) {
        return NGX_ERROR;
    }
    const size_t tiers = ngx_min(main_conf(r)->tiers.nelts, kMostMembers);
    const size_t size = kBytesOfHelp + zones.count * kBytesPerZone + tiers * kBytesPerTier;
    Text text;
    text.start = text.at = static_cast<u_char*>(ngx_palloc(r->pool, size));
    if (text.start == nullptr) {
        return NGX_ERROR;
    }
    text.end = text.start + size;
    add_build(&text);
    for (const MetricRow& row : kMetricRows) {
        if (row.begins_family()) {
            add_family(&text, row, zones);
        }
    }
    add_reasons(&text, zones);
    add_histogram(&text, zones, "hit_seconds",
                  "Time from a request's arrival at the cache to its answer from the zone.", cache::kHitBoundsUs,
                  Counter::kHitBucketFirst, Counter::kHitUs);
    add_histogram(&text, zones, "miss_seconds", "The same where the origin was asked, until its answer.",
                  cache::kMissBoundsUs, Counter::kMissBucketFirst, Counter::kMissUs);
    add_store_counters(&text, zones);
    Members members;
    add_fleets(&text, zones, &members);
    add_tiers(&text, *main_conf(r));
    if (text.overflowed()) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return send_reply(r, NGX_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                      {reinterpret_cast<char*>(text.start), static_cast<size_t>(text.at - text.start)});
}

}  // namespace slab_cache::ngx
