#include "ngx/glue/ngx.h"

#include "ngx/request/cache_key.h"

#include <openssl/evp.h>

#include "cache/key.h"
#include "cache/url.h"
#include "cache/variant_marker.h"
#include "http/args.h"
#include "http/syntax.h"
#include "ngx/conf/credentials.h"
#include "ngx/request/identity.h"
#include "ngx/request/sliced_request.h"
#include "ngx/request/varied_fields.h"
#include "ngx/zone/hit_for_miss.h"

namespace slab_cache::ngx {
namespace {

bool escaped_path(ngx_http_request_t* r, Bytes* path) noexcept {
    const uintptr_t escapes = ngx_escape_uri(nullptr, r->uri.data, r->uri.len, NGX_ESCAPE_URI);
    if (escapes == 0) {
        *path = view(r->uri);
        return true;
    }
    const size_t size = r->uri.len + 2 * escapes;
    auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, size));
    if (p == nullptr) {
        return false;
    }
    ngx_escape_uri(p, r->uri.data, r->uri.len, NGX_ESCAPE_URI);
    *path = {reinterpret_cast<char*>(p), size};
    return true;
}

struct Written {
    Bytes path;
    Bytes args;
    bool has_mark;  // a "?", though nothing stands behind it
};

// The URL as the client wrote it, whatever rewrites made of it. A subrequest has no client: its own.
bool written_url(ngx_http_request_t* r, Written* out) noexcept {
    const Bytes raw = view(r->unparsed_uri);
    if (r == r->main && !raw.empty() && raw.front() == '/') {
        const size_t mark = raw.find('?');
        out->path = base::slice(raw, 0, mark);
        out->has_mark = mark != Bytes::npos;
        out->args = out->has_mark ? base::slice(raw, mark + 1) : Bytes{};
        return true;
    }
    out->args = view(r->args);
    out->has_mark = !out->args.empty();
    return escaped_path(r, &out->path);
}

// What the request says beyond the host that nginx chose: an application may put it into links, so that requests
// that differ in it must not share an answer. ":port"; or, as in a request whose target names another host or port,
// "/", that port, "/" and all of the Host field. Clients that play by the rules send neither, but for ports that are not
// the scheme's own.
struct Beyond {
    char mark[sizeof("/65535/")];
    size_t mark_size;
    Bytes text;
};

Beyond beside_target(ngx_http_request_t* r, Bytes value) noexcept {
    Beyond more;
    auto* start = reinterpret_cast<u_char*>(more.mark);
    more.mark_size = static_cast<size_t>(ngx_sprintf(start, "/%ui/", static_cast<ngx_uint_t>(named_port(r))) - start);
    more.text = value;
    return more;
}

// $request_port shows what the target names, not what the field does.
bool is_port(ngx_http_request_t* r, Bytes digits) noexcept {
    return names_port(r, digits.empty() ? 0 : ngx_atoi(mutable_data(digits), digits.size()));
}

Beyond beyond_host(ngx_http_request_t* r, Bytes host) noexcept {
    const Bytes value = r->headers_in.host != nullptr ? view(r->headers_in.host->value) : Bytes{};
    const Bytes rest = base::slice(value, host.size());
    const bool is_host =
        base::equal_nocase(base::slice(value, 0, host.size()), host) && (rest.empty() || rest.front() == ':');
    return is_host && is_port(r, base::slice(rest, 1)) ? Beyond{{}, 0, rest} : beside_target(r, value);
}

struct Scratch {
    char* data;
    size_t size;
};

bool scratch(ngx_pool_t* pool, size_t size, Scratch* out) noexcept {
    out->data = static_cast<char*>(ngx_pnalloc(pool, size));
    out->size = size;
    return out->data != nullptr;
}

http::Reason default_key(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    const Bytes scheme = is_https(r) ? Bytes("https") : Bytes("http");
    const Beyond more = beyond_host(r, ctx->url.host);
    const size_t authority_size = ctx->url.host.size() + more.mark_size + more.text.size();
    const size_t size = cache::KeyBuilder::needed(scheme.size()) + cache::KeyBuilder::needed(authority_size) +
                        cache::KeyBuilder::needed(ctx->url.uri.size());
    Scratch s;
    if (size > cache::kMaxKeyBytes) {
        return http::Reason::kKeyTooLong;
    }
    const bool plain = authority_size == ctx->url.host.size();
    if (!scratch(r->pool, size + (plain ? 0 : authority_size), &s)) {
        return http::Reason::kInternal;
    }
    Bytes authority = ctx->url.host;
    if (!plain) {
        char* p = s.data + size;
        authority = {p, authority_size};
        for (Bytes part : {ctx->url.host, Bytes{more.mark, more.mark_size}, more.text}) {
            if (!part.empty()) {
                p = reinterpret_cast<char*>(ngx_cpymem(p, part.data(), part.size()));
            }
        }
    }
    cache::KeyBuilder builder(s.data, size);
    builder.add(scheme);
    builder.add(authority);
    builder.add(ctx->url.uri);
    ctx->key = builder.key();
    return http::Reason::kNone;
}

http::Reason configured_key(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    auto* part = static_cast<KeyPart*>(ctx->conf->key->elts);
    const ngx_uint_t n = ctx->conf->key->nelts;
    auto* field = static_cast<ngx_str_t*>(ngx_palloc(r->pool, n * sizeof(ngx_str_t)));
    if (field == nullptr) {
        return http::Reason::kInternal;
    }
    size_t size = 0;
    for (ngx_uint_t i = 0; i < n; i++) {
        if (ngx_http_complex_value(r, &part[i].value, &field[i]) != NGX_OK) {
            return http::Reason::kInternal;
        }
        size += cache::KeyBuilder::needed(field[i].len);
    }
    Scratch s;
    if (size > cache::kMaxKeyBytes) {
        return http::Reason::kKeyTooLong;
    }
    if (!scratch(r->pool, size, &s)) {
        return http::Reason::kInternal;
    }
    cache::KeyBuilder builder(s.data, s.size);
    for (ngx_uint_t i = 0; i < n; i++) {
        builder.add(view(field[i]), part[i].marks);
    }
    if (builder.overflowed()) {
        return http::Reason::kKeyTooLong;
    }
    ctx->key = builder.key();
    return http::Reason::kNone;
}

// SHA-256 of a QUERY's body; false when part of it is in a file.
bool digest_body(ngx_http_request_t* r, u_char* out) noexcept {
    EVP_MD_CTX* md = EVP_MD_CTX_new();
    bool ok = md != nullptr && EVP_DigestInit_ex(md, EVP_sha256(), nullptr) == 1;
    for (ngx_chain_t* cl = r->request_body != nullptr ? r->request_body->bufs : nullptr; cl != nullptr; cl = cl->next) {
        ok = ok && !cl->buf->in_file &&
             EVP_DigestUpdate(md, cl->buf->pos, static_cast<size_t>(cl->buf->last - cl->buf->pos)) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(md, out, nullptr) == 1;
    EVP_MD_CTX_free(md);
    return ok;
}

// The key goes on with the method, the body's type and the body's digest: a QUERY never meets a GET.
http::Reason add_query(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    u_char body[32];
    if (!digest_body(r, body)) {
        return http::Reason::kRequestBody;
    }
    const Bytes type = r->headers_in.content_type != nullptr ? view(r->headers_in.content_type->value) : Bytes{};
    const size_t more = 3 * cache::KeyBuilder::needed(0) + sizeof("QUERY") - 1 + type.size() + sizeof(body);
    Scratch s;
    if (ctx->key.size() + more > cache::kMaxKeyBytes) {
        return http::Reason::kKeyTooLong;
    }
    if (!scratch(r->pool, ctx->key.size() + more, &s)) {
        return http::Reason::kInternal;
    }
    ngx_memcpy(s.data, ctx->key.data(), ctx->key.size());
    cache::KeyBuilder builder(s.data + ctx->key.size(), more);
    builder.add("QUERY");
    builder.add(type);
    builder.add({reinterpret_cast<char*>(body), sizeof(body)}, cache::kPartHidden);
    ctx->key = {s.data, ctx->key.size() + builder.key().size()};
    return http::Reason::kNone;
}

// The key goes on with the range: no part is given for another, and none for a whole.
http::Reason add_slice(Ctx* ctx) noexcept {
    const size_t more = cache::KeyBuilder::needed(ctx->part.text.size());
    Scratch s;
    if (ctx->key.size() + more > cache::kMaxKeyBytes) {
        return http::Reason::kKeyTooLong;
    }
    if (!scratch(ctx->request->pool, ctx->key.size() + more, &s)) {
        return http::Reason::kInternal;
    }
    ngx_memcpy(s.data, ctx->key.data(), ctx->key.size());
    cache::KeyBuilder builder(s.data + ctx->key.size(), more);
    builder.add(ctx->part.text);
    ctx->key = {s.data, ctx->key.size() + builder.key().size()};
    return http::Reason::kNone;
}

}  // namespace

bool is_https(ngx_http_request_t* r) noexcept {
#if (NGX_HTTP_SSL)
    return r->connection->ssl != nullptr;
#else
    (void) r;
    return false;
#endif
}

Bytes host_of(ngx_http_request_t* r) noexcept {
    if (r->headers_in.server.len != 0) {
        return view(r->headers_in.server);
    }
    auto* cscf = static_cast<ngx_http_core_srv_conf_t*>(ngx_http_get_module_srv_conf(r, ngx_http_core_module));
    return view(cscf->server_name);
}

http::TargetUri target_of(ngx_http_request_t* r) noexcept {
    const ngx_table_elt_t* host = r->headers_in.host;
    return {is_https(r) ? Bytes("https") : Bytes("http"), host != nullptr ? view(host->value) : host_of(r),
            view(r->unparsed_uri)};
}

namespace {

bool canonical(ngx_pool_t* pool, const Written& url, const LocConf* conf, Bytes* uri) noexcept {
    const Bytes args = url.args;
    if (!url.has_mark || (args.empty() && conf->key_args != nullptr)) {
        *uri = url.path;
        return true;
    }
    Scratch s;
    if (!scratch(pool, url.path.size() + 1 + args.size(), &s)) {
        return false;
    }
    ngx_memcpy(s.data, url.path.data(), url.path.size());
    s.data[url.path.size()] = '?';
    size_t n = args.size();
    char* to = s.data + url.path.size() + 1;
    if (conf->key_args == nullptr) {
        if (n != 0) {
            ngx_memcpy(to, args.data(), n);
        }
        *uri = {s.data, s.size};
        return true;
    }
    n = http::canonical_args(args, *conf->key_args, to, n);
    *uri = {s.data, url.path.size() + (n != 0 ? 1 + n : 0)};
    return true;
}

// Arguments as the origin shall get them: without what the key leaves out, and in its order where it has one.
bool args_of_fill(ngx_pool_t* pool, Bytes args, const LocConf* conf, Bytes* out) noexcept {
    *out = args;
    if (conf->key_args == nullptr || args.empty()) {
        return true;
    }
    Scratch s;
    if (!scratch(pool, args.size(), &s)) {
        return false;
    }
    const size_t n = conf->key_args->sort ? http::canonical_args(args, *conf->key_args, s.data, s.size)
                                          : http::fill_args(args, *conf->key_args, s.data, s.size);
    *out = {s.data, n};
    return true;
}

// What rewrites and redirects made of it, where that is another URL than the client's.
// nginx forgets that where try_files put a file in place of the URL.
bool is_inner_another(ngx_http_request_t* r, Bytes written_path) noexcept {
    if (r != r->main) {
        return false;
    }
    if (!r->valid_unparsed_uri) {
        return true;
    }
    if (written_path == view(r->uri)) {
        return false;
    }
    cache::Url url;
    return !cache::split_url(arena_of(r->pool), {}, written_path, &url) || url.path != view(r->uri);
}

bool read_inner(Ctx* ctx, Bytes written_path) noexcept {
    ngx_http_request_t* r = ctx->request;
    if (!is_inner_another(r, written_path)) {
        return true;
    }
    ctx->url.inner_path = view(r->uri);
    ctx->url.inner_args = view(r->args);
    if (ctx->conf->key_args == nullptr || ctx->url.inner_args.empty()) {
        return true;
    }
    Scratch s;
    if (!scratch(r->pool, ctx->url.inner_args.size(), &s)) {
        return false;
    }
    const size_t n = http::canonical_args(ctx->url.inner_args, *ctx->conf->key_args, s.data, s.size);
    ctx->url.inner_args = {s.data, n};
    return true;
}

}  // namespace

bool canonical_uri(ngx_http_request_t* r, const LocConf* conf, Bytes* uri) noexcept {
    Written url;
    return written_url(r, &url) && canonical(r->pool, url, conf, uri);
}

bool read_url(Ctx* ctx) noexcept {
    if (share_url(ctx)) {
        return true;
    }
    ngx_http_request_t* r = ctx->request;
    Written url;
    ctx->url.host = host_of(r);
    if (!written_url(r, &url) || !canonical(r->pool, url, ctx->conf, &ctx->url.uri) ||
        !args_of_fill(r->pool, view(r->args), ctx->conf, &ctx->fill_args) ||
        !args_of_fill(r->pool, url.args, ctx->conf, &ctx->written_args) || !read_inner(ctx, url.path)) {
        return false;
    }
    ctx->fill_args_differ = ctx->fill_args != view(r->args) || ctx->written_args != url.args ||
                            (url.has_mark && url.args.empty() && ctx->conf->key_args != nullptr);
    return true;
}

http::Reason read_key(Ctx* ctx) noexcept {
    http::Reason no = ctx->conf->key == nullptr ? default_key(ctx) : configured_key(ctx);
    if (no == http::Reason::kNone && view(ctx->request->method_name) == "QUERY") {
        no = add_query(ctx);
    }
    if (no == http::Reason::kNone && ctx->part.is_asked()) {
        no = add_slice(ctx);
    }
    if (no == http::Reason::kNone && !read_identity(ctx)) {
        no = http::Reason::kInternal;
    }
    if (no == http::Reason::kNone) {
        ctx->url_key = ctx->key;
        ctx->url_digest = cache::digest(ctx->key, ctx->zone->store.secret());
        (void) use_slot(ctx, 0);
    }
    return no;
}

bool use_slot(Ctx* ctx, uint32_t slot) noexcept {
    ctx->key = ctx->url_key;
    ctx->primary = ctx->url_digest;
    if (slot != 0) {
        Scratch s;
        if (!scratch(ctx->request->pool, ctx->url_key.size() + cache::kSlotBytes, &s)) {
            return false;
        }
        ngx_memcpy(s.data, ctx->url_key.data(), ctx->url_key.size());
        ctx->key = cache::add_slot(s.data, ctx->url_key.size(), slot);
        ctx->primary = cache::digest(ctx->key, ctx->zone->store.secret());
    }
    ctx->variant_key = ctx->key;
    ctx->digest = ctx->primary;
    return true;
}

bool read_variant(Ctx* ctx, Bytes spec) noexcept {
    ngx_http_request_t* r = ctx->request;
    if (!cache::variant_key(arena_of(r->pool), ctx->key, spec, varied_fields(r, ctx->conf, spec),
                            ctx->conf->policy.vary, &ctx->variant_key)) {
        return false;
    }
    ctx->digest = cache::digest(ctx->variant_key, ctx->zone->store.secret());
    return true;
}

uint8_t mark_kind(const ngx_http_request_t* r) noexcept {
    if (r->headers_in.authorization != nullptr) {
        return kHasCredentials;
    }
    return has_cookie(r->headers_in) ? kHasCookie : kAnybody;
}

namespace {

// The one protocol that HTTP/1.1 is changed to by a GET, and nginx passes on. What else is offered (h2c, TLS/1.2 …) may
// be ignored by who is asked (RFC 9110 §7.8), and says nothing about the answer.
bool wants_websocket(ngx_http_request_t* r) noexcept {
    if (r->headers_in.upgrade == nullptr) {
        return false;
    }
    for (const http::Field& line : request_fields(r).lines("Upgrade")) {
        if (http::list_has(line.value, "websocket")) {
            return true;
        }
    }
    return false;
}

}  // namespace

namespace {

// A subrequest has the header of its main request, but its body only where nginx gave it one: auth_request does not.
bool has_body(const ngx_http_request_t* r) noexcept {
    if (r != r->main) {
        return r->request_body != nullptr && r->request_body->bufs != nullptr;
    }
    return r->headers_in.content_length_n > 0 || r->headers_in.chunked;
}

}  // namespace

http::Request request_facts(ngx_http_request_t* r) noexcept {
    http::Request request;
    request.method = r->method == NGX_HTTP_GET    ? http::Method::kGet
                     : r->method == NGX_HTTP_HEAD ? http::Method::kHead
                                                  : http::parse_method(view(r->method_name));
    request.has_authorization = has_unkeyed_credentials(r);
    request.has_body = has_body(r);
    request.is_head_apart = request.method == http::Method::kHead && loc_conf<LocConf>(r)->head_apart;
    request.wants_websocket = wants_websocket(r);
    return request;
}

// Where the origin sent no Date or no Server, nginx's proxy module adds an empty one, to keep its own from being added.
bool is_stand_in(const ngx_table_elt_t& h) noexcept {
    return h.value.len == 0 && (base::equal_nocase(view(h.key), "Date") || base::equal_nocase(view(h.key), "Server"));
}

http::Fields list_fields(ngx_pool_t* pool, ngx_list_t* list, size_t extra, http::Field** out) noexcept {
    size_t n = 0;
    for (ngx_list_part_t* part = &list->part; part != nullptr; part = part->next) {
        n += part->nelts;
    }
    auto* lines = static_cast<http::Field*>(ngx_palloc(pool, (n + extra + 1) * sizeof(http::Field)));
    if (lines == nullptr) {
        return {};
    }
    size_t used = 0;
    uint64_t names = 0;
    each_header(*list, [&](ngx_table_elt_t& h) {
        if (h.hash != 0 && !is_stand_in(h)) {
            lines[used++] = {view(h.key), view(h.value)};
            names |= http::name_bit(view(h.key));
        }
        return true;
    });
    if (out != nullptr) {
        *out = lines;
    }
    return {lines, used, names};
}

http::Fields request_fields(ngx_http_request_t* r) noexcept {
    return list_fields(r->pool, &r->headers_in.headers, 0, nullptr);
}

}  // namespace slab_cache::ngx
