#include "ngx/glue/ngx.h"

#include "ngx/request/controls.h"

namespace slab_cache::ngx {
namespace {

bool obey_rate(ngx_http_request_t* r, Bytes value) noexcept {
    set_rate(r, value);
    return true;
}

}  // namespace

const Control kControls[kMostControls] = {
    {"X-Accel-Limit-Rate", ":rate", NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE, http::ignore::kAccelLimitRate, obey_rate},
    {"X-Accel-Charset", ":charset", NGX_HTTP_UPSTREAM_IGN_XA_CHARSET, http::ignore::kAccelCharset, set_charset},
};

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

bool obey_kept_controls(ngx_http_request_t* r) noexcept {
    bool ok = true;
    each_header(r->headers_out.headers, [&](ngx_table_elt_t& h) {
        h.hash = view(h.key) == kKeptTags ? 0 : h.hash;
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

}  // namespace slab_cache::ngx
