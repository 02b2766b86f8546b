#include "ngx/glue/ngx.h"

#include "ngx/api/api_route.h"

#include "http/syntax.h"
#include "ngx/api/fleet_call.h"
#include "ngx/api/history.h"
#include "ngx/api/foreign_clients.h"
#include "ngx/api/entries.h"
#include "ngx/api/explain.h"
#include "ngx/api/metrics.h"
#include "ngx/api/page.h"
#include "ngx/api/purge_call.h"
#include "ngx/api/purges.h"
#include "ngx/api/push_call.h"
#include "ngx/api/tier_call.h"
#include "ngx/api/top.h"
#include "ngx/api/zones.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_uint_t kRead = NGX_HTTP_GET | NGX_HTTP_HEAD;

// A row a call. docs/openapi.json and README say the same to users (make lint).
constexpr CallRow kCalls[] = {
    {"", kRead, kReads, nullptr, send_page},
    {"metrics", kRead, kReads, nullptr, send_metrics},
    {"v1/fleet", kRead, kReads, "", send_fleet},
    {"v1/tier", kRead, kReads, "", send_tier},
    {"v1/zones", kRead, kReads, "", send_zones},
    {"v1/zones/{zone}", kRead, kReads | kWithoutRecord, "", send_zone},
    {"v1/zones/{zone}/purge", NGX_HTTP_POST, kWrites | kTyped, "", purge_by_json},
    {"v1/zones/{zone}/entry", kRead, kReads, "url tag", explain_entry},
    {"v1/zones/{zone}/entry", NGX_HTTP_PUT, kWrites | kObjectBody, "url status ttl", push_entry},
    {"v1/zones/{zone}/entry", NGX_HTTP_DELETE, kWrites | kObjectBody, "url", purge_entry},
    {"v1/zones/{zone}/entries", kRead, kReads, "prefix tag n after", send_entries},
    {"v1/zones/{zone}/purges", kRead, kReads, "", send_purges},
    {"v1/zones/{zone}/history", kRead, kReads, "", send_history},
    {"v1/zones/{zone}/top", kRead, kReads, "by n", send_top},
    {"service/{id}/purge", NGX_HTTP_POST, kWrites | kTyped, nullptr, purge_as_fastly},
    {"service/{id}/purge/{key}", NGX_HTTP_POST, kWrites | kTyped, nullptr, purge_as_fastly},
    {"service/{id}/purge_all", NGX_HTTP_POST, kWrites | kTyped, nullptr, purge_all_as_fastly},
    {"client/v4/zones/{id}/purge_cache", NGX_HTTP_POST | NGX_HTTP_DELETE, kWrites | kTyped, nullptr,
     purge_as_cloudflare},
    {"client/v4/zones/{id}/invalidate_cache", NGX_HTTP_POST, kWrites | kTyped, nullptr, invalidate_as_cloudflare},
};

struct MethodName {
    ngx_uint_t method;
    Bytes name;
};
constexpr MethodName kMethodNames[] = {
    {NGX_HTTP_GET, "GET"}, {NGX_HTTP_HEAD, "HEAD"},     {NGX_HTTP_POST, "POST"},
    {NGX_HTTP_PUT, "PUT"}, {NGX_HTTP_DELETE, "DELETE"},
};

// Names with commas between them.
class List {
public:
    List(char* buffer, size_t size) noexcept : out_(buffer, size), buffer_(buffer), size_(size) {}

    void put(Bytes name) noexcept {
        out_.put(separator_);
        out_.put(name);
        separator_ = ", ";
    }
    void separate_once_by(Bytes words) noexcept { separator_ = words; }
    Bytes text() const noexcept { return {buffer_, out_.fits() ? out_.length() : size_}; }

private:
    http::Output out_;
    char* buffer_;
    size_t size_;
    Bytes separator_;
};

}  // namespace

Route route_of(ngx_http_request_t* r, const LocConf* conf) noexcept {
    const Bytes path = base::slice(view(r->uri), conf->api_prefix.len);
    Route route;
    for (const CallRow& row : kCalls) {
        cache::PathNames names;
        if (route.first != nullptr ? row.path != route.first->path : !cache::fits_pattern(row.path, path, &names)) {
            continue;
        }
        if (route.first == nullptr) {
            route.first = &row;
            route.names = names;
        }
        if ((row.methods & r->method) != 0) {
            route.call = &row;
            break;
        }
    }
    return route;
}

Zone* zone_of(ngx_http_request_t* r, const Route& route) noexcept {
    MainConf* mcf = main_conf(r);
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        if (view(zones[i]->name) == route.names.zone_name) {
            return zones[i];
        }
    }
    return route.names.any_zone && mcf->zones.nelts == 1 ? zones[0] : nullptr;
}

Bytes allowed_methods(const Route& route, char* buffer, size_t size) noexcept {
    ngx_uint_t methods = 0;
    for (const CallRow& row : kCalls) {
        methods |= row.path == route.first->path ? row.methods : 0;
    }
    List list(buffer, size);
    for (const MethodName& m : kMethodNames) {
        if ((methods & m.method) != 0) {
            list.put(m.name);
        }
    }
    return list.text();
}

Bytes list_paths(char* buffer, size_t size) noexcept {
    static constexpr Bytes kOfZone = "v1/zones/{zone}/";
    List list(buffer, size);
    Bytes before;
    for (const CallRow& row : kCalls) {
        const bool is_ours = row.path.find("{id}") == Bytes::npos;
        if (!is_ours || row.path == before) {  // the page has no name, and is the first
            continue;
        }
        const bool is_below = base::starts_with(row.path, kOfZone);
        if (is_below && !base::starts_with(before, kOfZone)) {
            list.separate_once_by(", and below that ");
        }
        list.put(base::slice(row.path, is_below ? kOfZone.size() : 0));
        before = row.path;
    }
    return list.text();
}

}  // namespace slab_cache::ngx
