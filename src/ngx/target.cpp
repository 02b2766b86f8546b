#include "ngx/ngx.h"

#include "ngx/target.h"

#include "ngx/api_secret.h"
#include "ngx/request.h"
#include "ngx/tags.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxUrl = 16 * 1024;

bool needs_escape(char c) noexcept {
    const auto u = static_cast<unsigned char>(c);
    return u <= 0x20 || u >= 0x7F;
}

// As clients send it. '%' stays: what is encoded already is not encoded again.
bool escape(ngx_pool_t* pool, Bytes from, Bytes* to) noexcept {
    static const char digit[] = "0123456789ABCDEF";
    auto* p = static_cast<char*>(ngx_pnalloc(pool, 3 * from.size() + 1));
    if (p == nullptr) {
        return false;
    }
    size_t n = 0;
    for (char c : from) {
        if (!needs_escape(c)) {
            p[n++] = c;
            continue;
        }
        const auto u = static_cast<unsigned char>(c);
        p[n++] = '%';
        p[n++] = digit[u >> 4];
        p[n++] = digit[u & 15];
    }
    *to = {p, n};
    return true;
}

bool lower_copy(ngx_pool_t* pool, Bytes from, Bytes* to) noexcept {
    if (!pool_copy(pool, from, to)) {
        return false;
    }
    ngx_strlow(mutable_data(*to), mutable_data(*to), to->size());
    return true;
}

bool is_port(Bytes text) noexcept {
    for (char c : text) {
        if (c < '0' || c > '9') {
            return false;
        }
    }
    return !text.empty() && text.size() <= 5;
}

// Takes ":port" off `host`; false where it is no number.
bool take_port(Bytes* host, Bytes* port) noexcept {
    const size_t colon = host->rfind(':');
    if (colon == Bytes::npos || host->find(']', colon) != Bytes::npos) {
        return true;
    }
    *port = base::slice(*host, colon);
    *host = base::slice(*host, 0, colon);
    return is_port(base::slice(*port, 1));
}

bool is_host(Bytes host) noexcept {
    for (char c : host) {
        if (needs_escape(c) || c == '@' || c == '"' || c == '\\') {
            return false;
        }
    }
    return !host.empty();
}

bool read_scheme(Bytes* text, Bytes* scheme) noexcept {
    const size_t end = text->find("://");
    if (end == Bytes::npos || end > 5) {
        return true;
    }
    const Bytes word = base::slice(*text, 0, end);
    *text = base::slice(*text, end + 3);
    *scheme = base::equal_nocase(word, "https") ? Bytes("https") : Bytes("http");
    return base::equal_nocase(word, *scheme);
}

Bytes own_authority(ngx_http_request_t* r) noexcept {
    return r->headers_in.host != nullptr ? view(r->headers_in.host->value) : host_of(r);
}

}  // namespace

bool parse_target(ngx_http_request_t* r, Bytes text, Target* out) noexcept {
    text = base::slice(text, 0, text.find('#'));
    if (text.empty() || text.size() > kMaxUrl) {
        return false;
    }
    const bool relative = text.front() == '/' && !base::starts_with(text, "//");
    out->scheme = relative && is_https(r) ? Bytes("https") : Bytes("http");
    // A signature does not cover the Host field, which would say here what is meant.
    if (relative && is_signed(r, loc_conf<LocConf>(r))) {
        return false;
    }
    if (!relative && !read_scheme(&text, &out->scheme)) {
        return false;
    }
    const size_t end = relative ? 0 : text.find_first_of("/?");
    Bytes whole;
    Bytes uri = end == Bytes::npos ? Bytes("/") : base::slice(text, end);
    if (!lower_copy(r->pool, relative ? own_authority(r) : base::slice(text, 0, end), &whole)) {
        return false;
    }
    Bytes host = whole;
    Bytes port;
    if (uri.front() != '/' || !take_port(&host, &port) || !is_host(host)) {
        return false;
    }
    const Bytes usual = out->scheme == "https" ? Bytes(":443") : Bytes(":80");
    out->authority = port == usual ? host : whole;
    return escape(r->pool, uri, &out->uri) && split_url(r->pool, host, out->uri, &out->url);
}

Bytes default_key_of(ngx_pool_t* pool, const Target& target) noexcept {
    const size_t size = cache::KeyBuilder::needed(target.scheme.size())
                        + cache::KeyBuilder::needed(target.authority.size())
                        + cache::KeyBuilder::needed(target.uri.size());
    auto* p = size <= cache::kMaxKeyBytes ? static_cast<char*>(ngx_pnalloc(pool, size)) : nullptr;
    if (p == nullptr) {
        return {};
    }
    cache::KeyBuilder builder(p, size);
    builder.add(target.scheme);
    builder.add(target.authority);
    builder.add(target.uri);
    return builder.overflowed() ? Bytes{} : builder.key();
}

bool query_argument(ngx_http_request_t* r, Bytes name, Bytes* value) noexcept {
    ngx_str_t raw;
    if (ngx_http_arg(r, mutable_data(name), name.size(), &raw) != NGX_OK) {
        return false;
    }
    auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, raw.len + 1));
    if (p == nullptr) {
        return false;
    }
    u_char* to = p;
    u_char* from = raw.data;
    ngx_unescape_uri(&to, &from, raw.len, 0);
    *value = {reinterpret_cast<char*>(p), static_cast<size_t>(to - p)};
    return true;
}

}  // namespace slab_cache::ngx
