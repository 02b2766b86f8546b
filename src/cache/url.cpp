#include "cache/url.h"

#include "http/escape.h"
#include "http/syntax.h"

namespace slab_cache::cache {
namespace {

bool lower_copy(const base::Arena& arena, Bytes from, Bytes* to) noexcept {
    char* p = arena.get(from.size());
    if (p == nullptr) {
        return false;
    }
    for (size_t i = 0; i < from.size(); i++) {
        p[i] = base::lower(from[i]);
    }
    *to = {p, from.size()};
    return true;
}

bool escape(const base::Arena& arena, Bytes from, Bytes* to) noexcept {
    char* p = arena.get(3 * from.size());
    if (p == nullptr) {
        return false;
    }
    *to = {p, http::escape(from, p)};
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

// A name, an address, or "[…]". A '*' in it would be no pattern, and stand for nothing.
bool is_host(Bytes host) noexcept {
    for (char c : host) {
        if (!http::is_alpha(c) && !http::is_digit(c) && Bytes("-._~[]:%+").find(c) == Bytes::npos) {
            return false;
        }
    }
    return !host.empty();
}

bool read_scheme(Bytes* text, Bytes* scheme) noexcept {
    const size_t end = text->find("://");
    if (end == Bytes::npos || end > 5) {
        const Bytes first = base::slice(*text, 0, text->find('/'));  // "http//host/path" is meant otherwise
        return !base::equal_nocase(first, "http") && !base::equal_nocase(first, "https");
    }
    const Bytes word = base::slice(*text, 0, end);
    *text = base::slice(*text, end + 3);
    *scheme = base::equal_nocase(word, "https") ? Bytes("https") : Bytes("http");
    return base::equal_nocase(word, *scheme);
}

}  // namespace

bool parse_target(const base::Arena& arena, const Asker& asker, Bytes text, Target* out) noexcept {
    text = base::slice(text, 0, text.find('#'));
    if (text.empty() || text.size() > kMaxUrlBytes) {
        return false;
    }
    const bool relative = text.front() == '/' && !base::starts_with(text, "//");
    out->scheme = relative && asker.is_https ? Bytes("https") : Bytes("http");
    if (!relative && !read_scheme(&text, &out->scheme)) {
        return false;
    }
    const size_t end = relative ? 0 : text.find_first_of("/?");
    Bytes whole;
    Bytes uri = end == Bytes::npos ? Bytes("/") : base::slice(text, end);
    if (!lower_copy(arena, relative ? asker.authority : base::slice(text, 0, end), &whole)) {
        return false;
    }
    Bytes host = whole;
    Bytes port;
    if (uri.front() != '/' || !take_port(&host, &port) || !is_host(host)) {
        return false;
    }
    const Bytes usual = out->scheme == "https" ? Bytes(":443") : Bytes(":80");
    out->authority = port == usual ? host : whole;
    return escape(arena, uri, &out->uri) && split_url(arena, host, out->uri, &out->url);
}

Bytes default_key_of(const base::Arena& arena, const Target& target) noexcept {
    const size_t size = KeyBuilder::needed(target.scheme.size()) + KeyBuilder::needed(target.authority.size()) +
                        KeyBuilder::needed(target.uri.size());
    char* p = size <= kMaxKeyBytes ? arena.get(size) : nullptr;
    if (p == nullptr) {
        return {};
    }
    KeyBuilder builder(p, size);
    builder.add(target.scheme);
    builder.add(target.authority);
    builder.add(target.uri);
    return builder.overflowed() ? Bytes{} : builder.key();
}

bool split_url(const base::Arena& arena, Bytes host, Bytes uri, Url* out) noexcept {
    const size_t mark = uri.find('?');
    Bytes path = base::slice(uri, 0, mark);
    out->host = host;
    out->args = mark == Bytes::npos ? Bytes{} : base::slice(uri, mark + 1);
    if (path.find('%') != Bytes::npos || http::may_have_dot_segments(path)) {
        char* p = arena.get(path.size());
        if (p == nullptr) {
            return false;
        }
        size_t size = http::unescape(path, p);
        if (size != 0 && p[0] == '/') {
            size = http::remove_dot_segments(p, size);
        }
        path = {p, size};
    }
    out->path = path;
    return true;
}

}  // namespace slab_cache::cache
