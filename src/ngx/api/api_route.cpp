#include "ngx/glue/ngx.h"

#include "ngx/api/api_route.h"

#include "ngx/api/fleet_call.h"
#include "ngx/api/foreign_clients.h"
#include "ngx/api/entries.h"
#include "ngx/api/explain.h"
#include "ngx/api/metrics.h"
#include "ngx/api/page.h"
#include "ngx/api/purge_call.h"
#include "ngx/api/push_call.h"
#include "ngx/api/tier_call.h"
#include "ngx/api/top.h"
#include "ngx/api/zones.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_uint_t kRead = NGX_HTTP_GET | NGX_HTTP_HEAD;

constexpr Action kActions[] = {
    {Resource::kPage, kRead, false, false, nullptr, send_page},
    {Resource::kMetrics, kRead, false, false, nullptr, send_metrics},
    {Resource::kZones, kRead, false, false, "", send_zones},
    {Resource::kZone, kRead, false, false, "", send_zone},
    {Resource::kFleet, kRead, false, false, "", send_fleet},
    {Resource::kTier, kRead, false, false, "", send_tier},
    {Resource::kPurge, NGX_HTTP_POST, true, true, "", purge_by_json},
    {Resource::kTop, kRead, false, false, "by n", send_top},
    {Resource::kEntries, kRead, false, false, "prefix tag n after", send_entries},
    {Resource::kEntry, kRead, false, false, "url tag", explain_entry},
    {Resource::kEntry, NGX_HTTP_PUT, true, false, "url status ttl", push_entry},
    {Resource::kEntry, NGX_HTTP_DELETE, true, false, "url", purge_entry},
    {Resource::kFastlyPurge, NGX_HTTP_POST, true, true, nullptr, purge_as_fastly},
    {Resource::kFastlyPurgeAll, NGX_HTTP_POST, true, true, nullptr, purge_all_as_fastly},
    {Resource::kCloudflarePurge, NGX_HTTP_POST | NGX_HTTP_DELETE, true, true, nullptr, purge_as_cloudflare},
    {Resource::kCloudflareInvalidate, NGX_HTTP_POST, true, true, nullptr, invalidate_as_cloudflare},
};

}  // namespace

Route route_of(ngx_http_request_t* r, const LocConf* conf) noexcept {
    return cache::route_of(base::slice(view(r->uri), conf->api_prefix.len));
}

Zone* zone_of(ngx_http_request_t* r, const Route& route) noexcept {
    MainConf* mcf = main_conf(r);
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        if (view(zones[i]->name) == route.zone_name) {
            return zones[i];
        }
    }
    return route.any_zone && mcf->zones.nelts == 1 ? zones[0] : nullptr;
}

const Action* action_of(ngx_http_request_t* r, Resource resource) noexcept {
    for (const Action& action : kActions) {
        if (action.resource == resource && (action.methods & r->method) != 0) {
            return &action;
        }
    }
    return nullptr;
}

}  // namespace slab_cache::ngx
