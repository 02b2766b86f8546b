#include "ngx/glue/ngx.h"

#include "ngx/fill/kept_redirect.h"

namespace slab_cache::ngx {
namespace {

bool is_status_line(Bytes name) noexcept {
    return base::equal_nocase(name, "Location") || base::equal_nocase(name, "WWW-Authenticate");
}

}  // namespace

bool put_status_line(ngx_http_request_t* r, Bytes name, Bytes value) noexcept {
    if (!is_status_line(name)) {
        return true;
    }
    ngx_table_elt_t* h = push_header(&r->headers_out.headers);
    if (h == nullptr) {
        return false;
    }
    h->key = to_str(name);
    h->lowcase_key = h->key.data;
    h->value = to_str(value);
    if (base::equal_nocase(name, "Location")) {
        r->headers_out.location = h;  // made absolute for this client
    } else {
        r->headers_out.www_authenticate = h;
    }
    return true;
}

bool keep_redirect(Ctx* leader, const http::Fields& fields) noexcept {
    ngx_pool_t* pool = leader->request->pool;
    auto* redirect = pool_new<Redirect>(pool);
    auto* lines = static_cast<http::Field*>(ngx_palloc(pool, (fields.size + 1) * sizeof(http::Field)));
    if (redirect == nullptr || lines == nullptr) {
        return false;
    }
    size_t n = 0;
    for (const http::Field& field : fields) {
        if (!pool_copy(pool, field.name, &lines[n].name) || !pool_copy(pool, field.value, &lines[n].value)) {
            return false;
        }
        n++;
    }
    redirect->fields = {lines, n};
    leader->from_fill.redirect = redirect;
    return true;
}

bool keep_status_lines(Ctx* leader, ngx_http_request_t* from) noexcept {
    ngx_http_request_t* r = leader->request;
    bool ok = true;
    each_header(from->headers_out.headers, [&](ngx_table_elt_t& h) {
        Bytes name;
        Bytes value;
        if (h.hash != 0 && is_status_line(view(h.key))) {
            ok = pool_copy(r->pool, view(h.key), &name) && pool_copy(r->pool, view(h.value), &value) &&
                 put_status_line(r, name, value);
        }
        return ok;
    });
    return ok;
}

}  // namespace slab_cache::ngx
