#include "ngx/glue/ngx.h"

#include "ngx/api/signed_request.h"

#include "cache/token.h"
#include "http/tags.h"
#include "ngx/api/push_call.h"
#include "ngx/glue/reply.h"
#include "ngx/request/asker.h"
#include "ngx/request/cache_key.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxSecretBytes = 4096;

char* fail(ngx_conf_t* cf, ngx_err_t err, const char* what, const ngx_str_t& path) noexcept {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, err, "slab_cache_api secret \"%V\" %s", &path, what);
    return static_cast<char*>(NGX_CONF_ERROR);
}

Bytes without_line_end(Bytes text) noexcept {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
        text.remove_suffix(1);
    }
    return text;
}

// Fields that say what is to be done: who could change them could do other than what was signed.
bool is_signed_field(ngx_http_request_t* r, Bytes name) noexcept {
    return r->method == NGX_HTTP_PUT ? is_push_field(name)
                                     : http::is_tag_field(name) || base::equal_nocase(name, "Fastly-Soft-Purge");
}

// "name:value" of each, in the order sent, the name in lower case, each behind a line feed. False: out of memory.
bool signed_fields(ngx_http_request_t* r, Bytes* out) noexcept {
    const http::Fields fields = request_fields(r);
    size_t size = 0;
    for (const http::Field& f : fields) {
        size += is_signed_field(r, f.name) ? f.name.size() + f.value.size() + 2 : 0;
    }
    auto* start = static_cast<u_char*>(ngx_pnalloc(r->pool, size + 1));
    u_char* p = start;
    if (start == nullptr) {
        return false;
    }
    for (const http::Field& f : fields) {
        if (is_signed_field(r, f.name)) {
            *p++ = '\n';
            ngx_strlow(p, mutable_data(f.name), f.name.size());
            p += f.name.size();
            *p++ = ':';
            p = ngx_cpymem(p, f.value.data(), f.value.size());
        }
    }
    *out = {reinterpret_cast<char*>(start), size};
    return true;
}

Bytes why_unproven(cache::TokenVerdict verdict) noexcept {
    switch (verdict) {
    case cache::TokenVerdict::kMalformed:
        return "malformed: Authorization: SlabCache <seconds since 1970>:<64 hex digits>";
    case cache::TokenVerdict::kExpired:
        return "expired: the signature is right, but was valid until a time that is over";
    case cache::TokenVerdict::kTooFar:
        return "expires too late: the signature is right, but valid for more than an hour from now";
    case cache::TokenVerdict::kWrong:
    case cache::TokenVerdict::kGood:
        break;
    }
    return "wrong signature: it is not that of this method, path with query, expiry, body and fields under this secret";
}

}  // namespace

char* read_api_secret(ngx_conf_t* cf, ngx_str_t path, ngx_str_t* secret) noexcept {
    if (secret->len != 0) {
        return const_cast<char*>("has two secrets");
    }
    if (path.len == 0 || ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return fail(cf, 0, "is no file name", path);
    }
    auto* buffer = static_cast<u_char*>(ngx_pnalloc(cf->pool, kMaxSecretBytes));
    const ngx_fd_t fd = ngx_open_file(path.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (buffer == nullptr || fd == NGX_INVALID_FILE) {
        return fail(cf, ngx_errno, "cannot be opened", path);
    }
    const ssize_t n = ngx_read_fd(fd, buffer, kMaxSecretBytes);
    ngx_close_file(fd);
    const Bytes text = n > 0 ? Bytes{reinterpret_cast<char*>(buffer), static_cast<size_t>(n)} : Bytes{};
    *secret = to_str(without_line_end(text));
    if (secret->len < cache::kMinSecretBytes || text.size() == kMaxSecretBytes) {
        return fail(cf, 0, "must hold 16 to 4095 bytes", path);
    }
    return NGX_CONF_OK;
}

bool signature_covers_body(ngx_http_request_t* r, const LocConf* conf) noexcept {
    const bool has_body = r->headers_in.content_length_n > 0 || r->headers_in.chunked;
    return is_signed(r, conf) && has_body && (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0;
}

cache::TokenVerdict proof_of(ngx_http_request_t* r, const LocConf* conf, Bytes body) noexcept {
    Bytes fields;
    if (!signed_fields(r, &fields)) {
        return cache::TokenVerdict::kWrong;
    }
    const cache::SignedRequest request{view(r->method_name), view(r->unparsed_uri), body, fields};
    return cache::check_token(view(r->headers_in.authorization->value), view(conf->api_secret), request, wall_sec());
}

ngx_int_t send_unproven(ngx_http_request_t* r, cache::TokenVerdict verdict) noexcept {
    (void) add_answer_header(r, "WWW-Authenticate", "SlabCache");
    return send_problem(r, NGX_HTTP_UNAUTHORIZED, "unauthorized", why_unproven(verdict));
}

}  // namespace slab_cache::ngx
