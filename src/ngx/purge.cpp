#include "ngx/ngx.h"

#include "ngx/purge.h"

#include "cache/key.h"
#include "http/tags.h"
#include "ngx/counters.h"
#include "ngx/lookup.h"
#include "ngx/reply.h"
#include "ngx/request.h"
#include "ngx/tags.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kMaxTags = 1024;

struct Wanted {
    uint64_t* selector;
    uint32_t count;
    bool soft;
    bool overflow;

    void add(uint64_t s) noexcept {
        if (count == kMaxTags) {
            overflow = true;
            return;
        }
        selector[count++] = s;
    }
};

void read_tags(ngx_http_request_t* r, const uint8_t* secret, Wanted* wanted) noexcept {
    each_header(r->headers_in.headers, [&](ngx_table_elt_t& h) {
        const Bytes name = view(h.key);
        const bool xkey = base::equal_nocase(name, "xkey-purge")
                          || base::equal_nocase(name, "xkey-softpurge");
        wanted->soft = wanted->soft || base::equal_nocase(name, "xkey-softpurge")
                       || (base::equal_nocase(name, "Fastly-Soft-Purge") && view(h.value) == "1");
        if (xkey || http::is_tag_field(name)) {
            http::TagReader reader(view(h.value));
            Bytes tag;
            while (reader.next(&tag)) {
                wanted->add(cache::tag_selector(tag, secret));
            }
        }
        return true;
    });
}

void read_url(ngx_http_request_t* r, const cache::Url& url, const uint8_t* secret, Wanted* wanted) noexcept {
    (void) r;
    const size_t n = url.path.size();
    if (n >= 2 && url.path[n - 1] == '*' && url.path[n - 2] == '/' && url.args.empty()) {
        wanted->add(cache::prefix_selector(url.host, base::slice(url.path, 0, n - 1), secret));
        return;
    }
    wanted->add(cache::url_selector(url, secret));
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
    Wanted wanted{};
    wanted.soft = conf->purge->soft;
    wanted.selector = static_cast<uint64_t*>(ngx_palloc(r->pool, kMaxTags * sizeof(uint64_t)));
    Bytes uri;
    cache::Url url;
    if (wanted.selector == nullptr || !canonical_uri(r, conf, &uri)
        || !split_url(r->pool, host_of(r), uri, &url)) {
        return NGX_ERROR;
    }
    const uint8_t* secret = zone->store.secret();
    read_tags(r, secret, &wanted);
    if (wanted.count == 0) {
        read_url(r, url, secret, &wanted);
    }
    if (wanted.overflow) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    const uint64_t seq = zone->store.purge(
        wanted.selector, wanted.count, wanted.soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard);
    count(zone, Counter::kPurges);
    count(zone, Counter::kPurgeSelectors, wanted.count);
    auto* text = static_cast<u_char*>(ngx_pnalloc(r->pool, 128));
    if (text == nullptr) {
        return NGX_ERROR;
    }
    u_char* end = ngx_sprintf(text, "{\"seq\":%uL,\"accepted\":%uD}" CRLF, seq, wanted.count);
    return send_json(r, NGX_HTTP_OK, {reinterpret_cast<char*>(text), static_cast<size_t>(end - text)});
}

}  // namespace slab_cache::ngx
