#include "ngx/ngx.h"

#include "ngx/purge.h"

#include "http/tags.h"
#include "ngx/lookup.h"
#include "ngx/reply.h"
#include "ngx/request.h"
#include "ngx/selection.h"
#include "ngx/tags.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxTags = 1024;
constexpr Bytes kPurgeKeys = "PURGEKEYS";   // FOSHttpCache with Varnish's xkey

// False where there are too many.
bool read_tags(ngx_http_request_t* r, Selection* to) noexcept {
    bool ok = true;
    each_header(r->headers_in.headers, [&](ngx_table_elt_t& h) {
        const Bytes name = view(h.key);
        const bool soft_keys = base::equal_nocase(name, "xkey-softpurge");
        to->soft = to->soft || soft_keys
                   || (base::equal_nocase(name, "Fastly-Soft-Purge") && view(h.value) == "1");
        if (soft_keys || base::equal_nocase(name, "xkey-purge") || http::is_tag_field(name)) {
            http::TagReader reader(view(h.value));
            Bytes tag;
            while (ok && reader.next(&tag)) {
                ok = select_tag(to, tag);
            }
        }
        return ok;
    });
    return ok;
}

// The URL counts where no tags are named; PURGEKEYS is about tags alone.
ngx_int_t add_url(ngx_http_request_t* r, const LocConf* conf, Selection* to) noexcept {
    if (!is_empty(*to)) {
        return NGX_OK;
    }
    if (view(r->method_name) == kPurgeKeys) {
        return NGX_HTTP_BAD_REQUEST;
    }
    Bytes uri;
    cache::Url url;
    return canonical_uri(r, conf, &uri) && split_url(r->pool, host_of(r), uri, &url)
                   && select_request_url(to, url)
               ? NGX_OK
               : NGX_ERROR;
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
    const Bytes method = view(r->method_name);
    return purge != nullptr
           && (method == view(purge->method) || (method == kPurgeKeys && view(purge->method) == "PURGE"));
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
    if (!init_selection(&selection, r, zone, kMaxTags)) {
        return NGX_ERROR;
    }
    selection.soft = conf->purge->soft;
    if (!read_tags(r, &selection)) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    const ngx_int_t rc = add_url(r, conf, &selection);
    return rc == NGX_OK ? purge_and_answer(&selection) : rc;
}

}  // namespace slab_cache::ngx
