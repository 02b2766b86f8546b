#include "ngx/glue/ngx.h"

#include "ngx/fill/origin_controls.h"

#include "ngx/request/controls.h"

namespace slab_cache::ngx {
namespace {

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
            value = &h.value;  // the last one counts, as in nginx
        }
        return true;
    });
    return value;
}

}  // namespace

bool keep_controls(const Fetch* fetch, const OriginResponse& origin, Lines* lines) noexcept {
    bool any = false;
    for (const Control& c : kControls) {
        const ngx_str_t* value = origin.from_upstream ? find_in(fetch->request, fetch->conf, c) : nullptr;
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

bool obey_controls_of(ngx_http_request_t* r, const CloneFill* fill) noexcept {
    for (const Control& c : kControls) {
        const ngx_str_t* value = find_in(fill->request, fill->conf, c);
        Bytes copy;
        if (value != nullptr && (!pool_copy(r->pool, view(*value), &copy) || !c.obey(r, copy))) {
            return false;
        }
    }
    return true;
}

}  // namespace slab_cache::ngx
