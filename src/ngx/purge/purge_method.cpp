#include "ngx/glue/ngx.h"

#include "ngx/purge/purge_method.h"

#include "cache/purge_request.h"
#include "ngx/glue/reply.h"
#include "ngx/request/cache_key.h"
#include "ngx/purge/purge_batch_run.h"

namespace slab_cache::ngx {
namespace {

// The one for this request: its own method's; PURGE's also stands for PURGEKEYS.
const PurgeConf* purge_of(ngx_http_request_t* r, const PurgeConf* list) noexcept {
    const Bytes method = view(r->method_name);
    const PurgeConf* purge = find_purge(list, method);
    for (const PurgeConf* p = list; purge == nullptr && p != nullptr; p = p->next) {
        purge = cache::is_purge_method(method, view(p->method)) ? p : nullptr;
    }
    return purge;
}

ngx_int_t refuse(ngx_http_request_t* r, ngx_uint_t status, Bytes why) noexcept {
    return send_problem(r, status, "invalid purge request", why);
}

cache::FieldRead read_fields(ngx_http_request_t* r, cache::PurgeRequest* purge) noexcept {
    cache::FieldRead read = cache::FieldRead::kFine;
    each_header(r->headers_in.headers, [&](ngx_table_elt_t& h) {
        read = cache::read_purge_field(purge, view(h.key), view(h.value));
        return read == cache::FieldRead::kFine;
    });
    return read;
}

bool name_url(ngx_http_request_t* r, const LocConf* conf, cache::PurgeRequest* purge, ngx_int_t* answered) noexcept {
    Bytes uri;
    cache::Url url;
    if (!canonical_uri(r, conf, &uri)) {
        *answered = NGX_ERROR;
        return false;
    }
    if (!cache::select_own_url(purge, host_of(r), uri, &url)) {
        *answered = refuse(r, NGX_HTTP_BAD_REQUEST, purge->complaint);
        return false;
    }
    return true;
}

// What the request names, in `to`. False: it was answered with what is wrong.
bool name_all(ngx_http_request_t* r, const LocConf* conf, Selection* to, ngx_int_t* answered) noexcept {
    cache::PurgeRequest purge{to, view(r->method_name), conf->tags_mode == kTagsConfigured, false, false, {}};
    switch (read_fields(r, &purge)) {
    case cache::FieldRead::kTooManyTags:
        *answered = refuse(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "more than 1024 tags in one request");
        return false;
    case cache::FieldRead::kRefused:
        *answered = refuse(r, NGX_HTTP_BAD_REQUEST, purge.complaint);
        return false;
    case cache::FieldRead::kFine:
        break;
    }
    switch (cache::purge_names(purge)) {
    case cache::PurgeNames::kNothing:
        *answered = refuse(r, NGX_HTTP_BAD_REQUEST, "PURGEKEYS names tags, in xkey-purge or xkey-softpurge");
        return false;
    case cache::PurgeNames::kUrl:
        return name_url(r, conf, &purge, answered);
    case cache::PurgeNames::kTags:
        break;
    }
    return true;
}

bool select_in(ngx_http_request_t* r, const LocConf* conf, const PurgeConf& purge, Zone* zone, Selection* to,
               ngx_int_t* answered) noexcept {
    *answered = NGX_HTTP_SERVICE_UNAVAILABLE;
    if (zone == nullptr || !usable(zone)) {
        return false;
    }
    *answered = NGX_ERROR;
    if (!init_selection(to, r, zone, cache::kMaxPurgeTags)) {
        return false;
    }
    to->soft = purge.soft;
    return name_all(r, conf, to, answered);
}

// A location without a zone names a URL that another location answers, after try_files or index: all zones forget it. The
// answer is of the last; the others' purges are the same but for their numbers.
ngx_int_t purge_all_zones(ngx_http_request_t* r, const LocConf* conf, const PurgeConf& purge) noexcept {
    MainConf* mcf = main_conf(r);
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    ngx_int_t answered = NGX_HTTP_SERVICE_UNAVAILABLE;
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        Selection selection;
        if (!select_in(r, conf, purge, zones[i], &selection, &answered)) {
            return answered;
        }
        if (i + 1 == mcf->zones.nelts) {
            return purge_and_answer(&selection);
        }
        (void) purge_selection(&selection);
    }
    return answered;
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

bool is_purge(ngx_http_request_t* r, const PurgeConf* list) noexcept {
    return list != nullptr && purge_of(r, list) != nullptr;
}

ngx_int_t purge_handler(ngx_http_request_t* r) noexcept {
    auto* conf = loc_conf<LocConf>(r);
    const PurgeConf* purge = purge_of(r, conf->purge);
    if (purge == nullptr || !address_listed(r, purge->from)) {
        return NGX_HTTP_FORBIDDEN;
    }
    const ngx_int_t discard = ngx_http_discard_request_body(r);
    if (discard != NGX_OK) {
        return discard;
    }
    bool is_unknown = false;
    Zone* zone = zone_for(r, conf, &is_unknown);
    if (zone == nullptr) {
        return purge_all_zones(r, conf, *purge);
    }
    Selection selection;
    ngx_int_t answered = NGX_ERROR;
    return select_in(r, conf, *purge, zone, &selection, &answered) ? purge_and_answer(&selection) : answered;
}

}  // namespace slab_cache::ngx
