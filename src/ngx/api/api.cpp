#include "ngx/glue/ngx.h"

#include "ngx/api/api.h"

#include "http/cross_origin.h"
#include "http/escape.h"
#include "http/syntax.h"
#include "ngx/api/api_route.h"
#include "ngx/api/signed_request.h"
#include "ngx/glue/request_body.h"
#include "ngx/glue/reply.h"
#include "ngx/request/asker.h"
#include "ngx/request/cache_key.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxJson = 1024 * 1024;

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

// What keeps a Call findable while nginx reads the body: the module's own context is the cache's (ctx.h).
void forget(void*) noexcept {}

Call* make_call(ngx_http_request_t* r) noexcept {
    ngx_pool_cleanup_t* cln = ngx_pool_cleanup_add(r->pool, sizeof(Call));
    if (cln == nullptr) {
        return nullptr;
    }
    ngx_memzero(cln->data, sizeof(Call));
    cln->handler = forget;
    auto* call = static_cast<Call*>(cln->data);
    call->request = r;
    return call;
}

Call* find_call(ngx_http_request_t* r) noexcept {
    for (ngx_pool_cleanup_t* cln = r->pool->cleanup; cln != nullptr; cln = cln->next) {
        if (cln->handler == forget && static_cast<Call*>(cln->data)->request == r) {
            return static_cast<Call*>(cln->data);
        }
    }
    return nullptr;
}

Bytes request_header(ngx_http_request_t* r, Bytes name) noexcept {
    Bytes value;
    each_header(r->headers_in.headers, [&](ngx_table_elt_t& h) {
        const bool found = base::equal_nocase(view(h.key), name);
        value = found ? view(h.value) : value;
        return !found;
    });
    return value;
}

bool is_foreign(ngx_http_request_t* r) noexcept {
    return http::is_foreign(request_header(r, "Sec-Fetch-Site"), request_header(r, "Origin"),
                            r->headers_in.host != nullptr ? view(r->headers_in.host->value) : Bytes{});
}

bool is_known_name(ngx_http_request_t* r, Bytes host) noexcept {
    auto* server = static_cast<ngx_http_core_srv_conf_t*>(ngx_http_get_module_srv_conf(r, ngx_http_core_module));
    if (base::equal_nocase(host, view(server->server_name))) {
        return true;
    }
    ngx_http_virtual_names_t* names = r->http_connection->addr_conf->virtual_names;
    const ngx_str_t text = to_str(host);
    return names != nullptr &&
           ngx_hash_find_combined(&names->names, ngx_hash_key(text.data, text.len), text.data, text.len) != nullptr;
}

// Whoever owns a name can let it point here once his page is loaded: to the browser that page and we are one origin then.
// Addresses and localhost are nobody's to point, the names of this server are its operator's.
bool is_rebound(ngx_http_request_t* r) noexcept {
    const Bytes host = view(r->headers_in.server);
    const bool is_address = host.find_first_not_of("0123456789.") == Bytes::npos || host.front() == '[';
    const bool is_local = host == "localhost";
    return !is_address && !is_local && !is_known_name(r, host);
}

// A body that a form of a page could have sent. What `curl -d` sends looks like one, and comes from no browser.
bool may_be_a_form(ngx_http_request_t* r) noexcept {
    const Bytes type = r->headers_in.content_type != nullptr ? view(r->headers_in.content_type->value) : Bytes{};
    return http::is_form_type(type) && (!http::is_urlencoded(type) || http::may_be_a_page(request_fields(r)));
}

ngx_int_t send_two(ngx_http_request_t* r, ngx_uint_t status, Bytes title, Bytes first, Bytes second) noexcept {
    auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, first.size() + second.size() + 1));
    if (p == nullptr) {
        return NGX_ERROR;
    }
    u_char* end = ngx_cpymem(p, first.data(), first.size());
    end = ngx_cpymem(end, second.data(), second.size());
    return send_problem(r, status, title, {reinterpret_cast<char*>(p), static_cast<size_t>(end - p)});
}

ngx_int_t send_no_zone(ngx_http_request_t* r) noexcept {
    MainConf* mcf = main_conf(r);
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    char text[256];
    http::Output out(text, sizeof(text));
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        out.put(i == 0 ? Bytes{} : Bytes{", "});
        out.put(view(zones[i]->name));
    }
    return send_two(r, NGX_HTTP_NOT_FOUND, "no such zone",
                    "there are: ", {text, out.fits() ? out.length() : sizeof(text)});
}

// False: it has been answered, with *rc. Most of all a URL that is not encoded, and is cut at its first '&'.
bool knows_arguments(ngx_http_request_t* r, const CallRow& row, ngx_int_t* rc) noexcept {
    if (row.arguments == nullptr) {
        return true;
    }
    const Bytes name = http::unknown_argument(view(r->args), row.arguments);
    if (name.empty()) {
        return true;
    }
    char text[256];
    http::Output out(text, sizeof(text));
    out.put("\"");
    out.put(base::slice(name, 0, 64));
    out.put("\" is no argument here, or stands there twice; ");
    out.put(*row.arguments == '\0' ? Bytes("there are none") : Bytes("there are: "));
    out.put(row.arguments);
    if (base::starts_with(row.arguments, "url")) {
        out.put("; url= is percent-encoded, with %26 for &");
    }
    *rc = send_problem(r, NGX_HTTP_BAD_REQUEST, "unknown argument", {text, out.fits() ? out.length() : sizeof(text)});
    return false;
}

ngx_int_t send_unknown_name(ngx_http_request_t* r) noexcept {
    return send_problem(r, NGX_HTTP_FORBIDDEN, "unknown name",
                        "a browser asks under a name that this server does not have: add it to server_name");
}

// False: it has been answered, with *rc.
bool may_write(ngx_http_request_t* r, const LocConf* conf, const CallRow& row, ngx_int_t* rc) noexcept {
    if (!conf->api_write) {
        *rc = send_problem(r, NGX_HTTP_FORBIDDEN, "read only", "this location has no slab_cache_api write=on");
        return false;
    }
    if (is_foreign(r)) {
        *rc = send_problem(r, NGX_HTTP_FORBIDDEN, "cross-origin request", "a page of another origin must not write");
        return false;
    }
    if (!request_header(r, "Origin").empty() && is_rebound(r)) {
        *rc = send_unknown_name(r);
        return false;
    }
    if (row.has(kTyped) && may_be_a_form(r)) {
        *rc = send_problem(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE, "not JSON",
                           "a page's form could have sent this: send Content-Type: application/json");
        return false;
    }
    return true;
}

void on_body(ngx_http_request_t* r) noexcept {
    Call* call = find_call(r);
    ngx_int_t rc = NGX_ERROR;
    if (call != nullptr && !whole_body(r, call->body_limit, &call->body)) {
        rc = send_problem(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "body too large", "longer than this resource takes");
    } else if (call != nullptr) {
        const auto proof = call->is_unproven ? proof_of(r, call->conf, call->body) : cache::TokenVerdict::kGood;
        rc = proof != cache::TokenVerdict::kGood ? send_unproven(r, proof) : call->answer(call);
    }
    ngx_http_finalize_request(r, rc);
}

size_t body_limit_of(const Zone* zone, const CallRow& row) noexcept {
    if (!row.has(kObjectBody)) {
        return kMaxJson;
    }
    return zone->config.max_object != 0 ? zone->config.max_object : zone->size / 16;
}

ngx_int_t start_call(ngx_http_request_t* r, const LocConf* conf, const Route& route, Zone* zone) noexcept {
    const CallRow& row = *route.call;
    Call* call = make_call(r);
    if (call == nullptr) {
        return NGX_ERROR;
    }
    call->conf = conf;
    call->zone = zone;
    call->rest = route.names.rest;
    call->answer = row.answer;
    if (!row.has(kWrites)) {
        const ngx_int_t rc = ngx_http_discard_request_body(r);
        return rc == NGX_OK ? call->answer(call) : rc;
    }
    call->birth = zone->store.birth_stamp();
    call->is_unproven = signature_covers_body(r, conf);
    call->body_limit = body_limit_of(zone, row);
    if (r->headers_in.content_length_n > static_cast<off_t>(call->body_limit)) {
        return send_problem(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "body too large", "longer than this resource takes");
    }
    const ngx_int_t rc = ngx_http_read_client_request_body(r, on_body);
    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}

bool exists(ngx_http_request_t* r, const Route& route) noexcept {
    return route.call != nullptr && (!route.names.has_zone || zone_of(r, route) != nullptr);
}

// Who asks is known, or will be when the body is there.
ngx_int_t answer_route(ngx_http_request_t* r, const LocConf* conf, const Route& route) noexcept {
    char text[512];
    if (route.first == nullptr) {
        return send_two(r, NGX_HTTP_NOT_FOUND, "not found", "no such resource in this API: there are ",
                        list_paths(text, sizeof(text)));
    }
    Zone* zone = route.names.has_zone ? zone_of(r, route) : nullptr;
    if (route.names.has_zone && zone == nullptr) {
        return send_no_zone(r);
    }
    const CallRow* call = route.call;
    if (call == nullptr) {
        Bytes methods;
        if (!pool_copy(r->pool, allowed_methods(route, text, sizeof(text)), &methods)) {
            return NGX_ERROR;
        }
        (void) add_answer_header(r, "Allow", methods);
        return send_two(r, NGX_HTTP_NOT_ALLOWED, "method not allowed", "allowed here: ", methods);
    }
    if (zone != nullptr && !usable(zone) && !call->has(kWithoutRecord)) {
        return send_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE, "zone not available",
                            "this worker found no free worker record");
    }
    ngx_int_t rc = NGX_OK;
    if ((call->has(kWrites) && !may_write(r, conf, *call, &rc)) || !knows_arguments(r, *call, &rc)) {
        return rc;
    }
    return start_call(r, conf, route, zone);
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

ngx_int_t api_handler(ngx_http_request_t* r) noexcept {
    auto* conf = loc_conf<LocConf>(r);
    if (is_signed(r, conf)) {
        const auto proof = signature_covers_body(r, conf) ? cache::TokenVerdict::kGood : proof_of(r, conf, {});
        if (proof != cache::TokenVerdict::kGood) {
            return send_unproven(r, proof);
        }
    } else if (!is_trusted(r)) {
        return send_problem(r, NGX_HTTP_FORBIDDEN, "forbidden",
                            "not from loopback, and the location has no access rule");
    } else if ((r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0 && r->connection->sockaddr->sa_family != AF_UNIX &&
               is_loopback(r->connection->sockaddr) && is_rebound(r)) {
        // A browser on this machine sends no Origin when it reads what it takes for its page's own.
        return send_unknown_name(r);
    }
    const Route route = route_of(r, conf);
    // Who has not proven anything yet is not told what there is.
    if (signature_covers_body(r, conf) && !exists(r, route)) {
        return send_unproven(r, cache::TokenVerdict::kWrong);
    }
    return answer_route(r, conf, route);
}

}  // namespace slab_cache::ngx
