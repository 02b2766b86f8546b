#include "ngx/glue/ngx.h"

#include "ngx/request/controls.h"

namespace slab_cache::ngx {
namespace {

struct Control {
    Bytes field;
    Bytes kept;
    ngx_uint_t ignored_by_nginx;   // bit of ngx_http_upstream_conf_t::ignore_headers
    uint32_t ignored_by_us;
    bool (*obey)(ngx_http_request_t* r, Bytes value) noexcept;
};

bool obey_rate(ngx_http_request_t* r, Bytes value) noexcept {
    set_rate(r, value);
    return true;
}

constexpr Control kControls[kMostControls] = {
    {"X-Accel-Limit-Rate", ":rate", NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE, http::ignore::kAccelLimitRate, obey_rate},
    {"X-Accel-Charset", ":charset", NGX_HTTP_UPSTREAM_IGN_XA_CHARSET, http::ignore::kAccelCharset, set_charset},
};

bool is_heard(const Control& c, const ngx_http_upstream_t& u, const LocConf* conf) noexcept {
    return (u.conf->ignore_headers & c.ignored_by_nginx) == 0 && !http::ignores(conf->policy, c.ignored_by_us);
}

// The value in the header that the upstream sent; nullptr: none that counts.
ngx_str_t* find_in(const ngx_http_request_t* asking, const LocConf* conf, const Control& c) noexcept {
    ngx_http_upstream_t* u = asking->upstream;
    ngx_str_t* value = nullptr;
    if (u == nullptr || u->conf == nullptr || u->headers_in.status_n == 0 || !is_heard(c, *u, conf)) {
        return nullptr;
    }
    each_header(u->headers_in.headers, [&](ngx_table_elt_t& h) {
        if (base::equal_nocase(view(h.key), c.field)) {
            value = &h.value;   // the last one counts, as in nginx
        }
        return true;
    });
    return value;
}

}  // namespace

void set_rate(ngx_http_request_t* r, Bytes value) noexcept {
    const ngx_int_t n = ngx_atoi(mutable_data(value), value.size());
    if (n != NGX_ERROR) {
        r->limit_rate = static_cast<size_t>(n);
        r->limit_rate_set = 1;
    }
}

bool set_charset(ngx_http_request_t* r, Bytes value) noexcept {
    auto* charset = pool_new<ngx_str_t>(r->pool);
    if (charset == nullptr) {
        return false;
    }
    *charset = to_str(value);
    r->headers_out.override_charset = charset;
    return true;
}

bool keep_controls(const Fill* fill, const OriginResponse& origin, Lines* lines) noexcept {
    bool any = false;
    for (const Control& c : kControls) {
        const ngx_str_t* value = origin.from_upstream ? find_in(fill->request, fill->conf, c) : nullptr;
        http::Field* kept = nullptr;
        for (size_t i = 0; i < lines->size; i++) {
            kept = lines->data[i].name == c.kept ? &lines->data[i] : kept;
        }
        any = any || kept != nullptr || value != nullptr;
        if (value != nullptr && kept != nullptr) {
            kept->value = view(*value);
        } else if (value != nullptr) {
            lines->add(c.kept, view(*value));
        }
    }
    return any;
}

bool obey_kept_controls(ngx_http_request_t* r) noexcept {
    bool ok = true;
    each_header(r->headers_out.headers, [&](ngx_table_elt_t& h) {
        for (const Control& c : kControls) {
            if (h.hash != 0 && view(h.key) == c.kept) {
                h.hash = 0;
                ok = c.obey(r, view(h.value)) && ok;
            }
        }
        return true;
    });
    return ok;
}

bool obey_controls_of(ngx_http_request_t* r, const Fill* fill) noexcept {
    for (const Control& c : kControls) {
        const ngx_str_t* value = find_in(fill->request, fill->conf, c);
        Bytes copy;
        if (value != nullptr && (!pool_copy(r->pool, view(*value), &copy) || !c.obey(r, copy))) {
            return false;
        }
    }
    return true;
}

bool has_rate(const ngx_http_request_t* asking, const LocConf* conf) noexcept {
    return find_in(asking, conf, kControls[0]) != nullptr;
}

}  // namespace slab_cache::ngx
