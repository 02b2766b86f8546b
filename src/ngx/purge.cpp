#include "ngx/ngx.h"

#include "ngx/purge.h"

#include "cache/purge_request.h"
#include "ngx/lookup.h"
#include "ngx/reply.h"
#include "ngx/request.h"
#include "ngx/selection.h"

namespace slab_cache::ngx {
namespace {

// False where there are too many tags.
bool read_fields(ngx_http_request_t* r, Selection* to) noexcept {
    bool ok = true;
    each_header(r->headers_in.headers, [&](ngx_table_elt_t& h) {
        ok = cache::read_purge_field(to, view(h.key), view(h.value));
        return ok;
    });
    return ok;
}

ngx_int_t add_url(ngx_http_request_t* r, const LocConf* conf, Selection* to) noexcept {
    switch (cache::purge_names(*to, view(r->method_name))) {
        case cache::PurgeNames::kTags:
            return NGX_OK;
        case cache::PurgeNames::kNothing:
            return NGX_HTTP_BAD_REQUEST;
        case cache::PurgeNames::kUrl:
            break;
    }
    Bytes uri;
    if (!canonical_uri(r, conf, &uri)) {
        return NGX_ERROR;
    }
    return cache::select_own_url(to, host_of(r), uri) ? NGX_OK : NGX_HTTP_BAD_REQUEST;   // a pattern that fits no rule
}

}  // namespace

bool address_listed(ngx_http_request_t* r, const Cidrs& from) noexcept {
    ngx_connection_t* c = r->connection;
    if (c->sockaddr->sa_family == AF_UNIX) {
        return from.unix_sockets;
    }
    auto* list = const_cast<ngx_array_t*>(&from.list);
    return list->nelts != 0 && ngx_cidr_match(c->sockaddr, list) == NGX_OK;
}

bool is_purge(ngx_http_request_t* r, const PurgeConf* purge) noexcept {
    return purge != nullptr && cache::is_purge_method(view(r->method_name), view(purge->method));
}

ngx_int_t purge_handler(ngx_http_request_t* r) noexcept {
    auto* conf = loc_conf<LocConf>(r);
    if (!address_listed(r, conf->purge->from)) {
        return NGX_HTTP_FORBIDDEN;
    }
    const ngx_int_t discard = ngx_http_discard_request_body(r);
    if (discard != NGX_OK) {
        return discard;
    }
    Zone* zone = zone_for(r, conf);
    if (zone == nullptr || !usable(zone)) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }
    Selection selection;
    if (!init_selection(&selection, r, zone, cache::kMaxPurgeTags)) {
        return NGX_ERROR;
    }
    selection.soft = conf->purge->soft;
    if (!read_fields(r, &selection)) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    const ngx_int_t rc = add_url(r, conf, &selection);
    return rc == NGX_OK ? purge_and_answer(&selection) : rc;
}

}  // namespace slab_cache::ngx
