#include "ngx/ngx.h"

#include "ngx/api.h"

#include "ngx/api_purge.h"
#include "ngx/api_zones.h"
#include "ngx/conf.h"
#include "ngx/reply.h"
#include "ngx/zone.h"

namespace slab_cache::ngx {
namespace {

bool is_loopback(const sockaddr* sa) noexcept {
    switch (sa->sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET: {
        const auto* sin = reinterpret_cast<const sockaddr_in*>(sa);
        return (ntohl(sin->sin_addr.s_addr) >> 24) == 127;
    }
#if (NGX_HAVE_INET6)
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(sa)->sin6_addr);
#endif
    default:
        return false;
    }
}

// The path behind the location's prefix.
Bytes sub_path(ngx_http_request_t* r, const LocConf* conf) noexcept {
    Bytes path = base::slice(view(r->uri), conf->api_prefix.len);
    while (!path.empty() && path.front() == '/') {
        path.remove_prefix(1);
    }
    return path;
}

Bytes take_segment(Bytes* path) noexcept {
    const size_t slash = path->find('/');
    const Bytes segment = base::slice(*path, 0, slash);
    *path = slash == Bytes::npos ? Bytes{} : base::slice(*path, slash + 1);
    return segment;
}

Zone* find_zone(ngx_http_request_t* r, Bytes name) noexcept {
    MainConf* mcf = main_conf(r);
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        if (view(zones[i]->name) == name) {
            return zones[i];
        }
    }
    return nullptr;
}

ngx_int_t not_found(ngx_http_request_t* r) noexcept {
    return send_problem(r, NGX_HTTP_NOT_FOUND, "not found", "no such resource in this API");
}

bool is_read(ngx_http_request_t* r) noexcept {
    return (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0;
}

ngx_int_t read_only(ngx_http_request_t* r, ngx_int_t (*answer)(ngx_http_request_t*, Zone*), Zone* zone) noexcept {
    if (!is_read(r)) {
        return send_problem(r, NGX_HTTP_NOT_ALLOWED, "method not allowed", "use GET");
    }
    const ngx_int_t rc = ngx_http_discard_request_body(r);
    return rc == NGX_OK ? answer(r, zone) : rc;
}

ngx_int_t zone_resource(ngx_http_request_t* r, const LocConf* conf, Zone* zone, Bytes path) noexcept {
    const Bytes what = take_segment(&path);
    if (what.empty()) {
        return read_only(r, send_zone, zone);
    }
    if (what == "purge" && path.empty()) {
        if (r->method != NGX_HTTP_POST) {
            return send_problem(r, NGX_HTTP_NOT_ALLOWED, "method not allowed", "use POST");
        }
        if (!conf->api_write) {
            return send_problem(r, NGX_HTTP_FORBIDDEN, "read only",
                                "this location has no slab_cache_api write=on");
        }
        return purge_by_json(r, zone);
    }
    return not_found(r);
}

}  // namespace

bool is_trusted(ngx_http_request_t* r) noexcept {
    if (is_loopback(r->connection->sockaddr)) {
        return true;
    }
    // nginx does not say whether a rule or the lack of one let a request in: ask the rules again.
    ngx_http_phase_handler_t* ph = core_main_conf(r)->phase_engine.handlers;
    for (; ph->checker != nullptr; ph++) {
        if (ph->checker == ngx_http_core_access_phase && ph->handler(r) == NGX_OK) {
            return true;
        }
    }
    return false;
}

Zone* api_zone(ngx_http_request_t* r) noexcept {
    Bytes path = sub_path(r, loc_conf<LocConf>(r));
    if (take_segment(&path) != "v1" || take_segment(&path) != "zones") {
        return nullptr;
    }
    return find_zone(r, take_segment(&path));
}

ngx_int_t api_handler(ngx_http_request_t* r) noexcept {
    auto* conf = loc_conf<LocConf>(r);
    if (!is_trusted(r)) {
        return send_problem(r, NGX_HTTP_FORBIDDEN, "forbidden",
                            "not from loopback, and the location has no access rule");
    }
    Bytes path = sub_path(r, conf);
    if (take_segment(&path) != "v1" || take_segment(&path) != "zones") {
        return not_found(r);
    }
    const Bytes name = take_segment(&path);
    if (name.empty()) {
        return read_only(r, send_zones, nullptr);
    }
    Zone* zone = find_zone(r, name);
    if (zone == nullptr) {
        return send_problem(r, NGX_HTTP_NOT_FOUND, "no such zone", name);
    }
    if (!usable(zone)) {
        return send_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE, "zone not available",
                            "this worker found no free worker record");
    }
    return zone_resource(r, conf, zone, path);
}

}  // namespace slab_cache::ngx
