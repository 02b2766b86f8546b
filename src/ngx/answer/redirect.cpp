#include "ngx/glue/ngx.h"

#include "ngx/answer/redirect.h"

#include "cache/stored_head.h"
#include "cache/variant_marker.h"
#include "http/cache_control.h"
#include "ngx/request/controls.h"
#include "ngx/request/response_header.h"
#include "ngx/fill/merge_304.h"
#include "ngx/request/cache_key.h"

namespace slab_cache::ngx {
namespace {

// As the column of ngx_http_upstream_headers_in says.
bool goes_along(Bytes name) noexcept {
    static constexpr Bytes kNames[] = {"Set-Cookie", "Content-Disposition", "Cache-Control", "Expires",
                                       "Accept-Ranges"};
    for (Bytes n : kNames) {
        if (base::equal_nocase(name, n)) {
            return true;
        }
    }
    return false;
}

size_t type_length(Bytes value) noexcept {
    const size_t end = value.find(';');
    size_t n = end == Bytes::npos ? value.size() : end;
    while (n > 0 && value[n - 1] == ' ') {
        n--;
    }
    return n;
}

bool add_line(ngx_http_request_t* r, Bytes name, Bytes value) noexcept {
    Bytes lowcase;
    if (!pool_copy(r->pool, name, &lowcase)) {
        return false;
    }
    ngx_strlow(mutable_data(lowcase), mutable_data(lowcase), lowcase.size());
    return set_header_out(r, name, lowcase, value);
}

// What nginx does with these fields of an answer before it goes on.
bool obey(ngx_http_request_t* r, Bytes name, Bytes value) noexcept {
    if (base::equal_nocase(name, "Content-Type")) {
        set_content_type(r, value, type_length(value));
        return true;
    }
    if (base::equal_nocase(name, "X-Accel-Limit-Rate")) {
        set_rate(r, value);
        return true;
    }
    if (base::equal_nocase(name, "X-Accel-Charset")) {
        return set_charset(r, value);
    }
    return !goes_along(name) || add_line(r, name, value);
}

ngx_int_t go(ngx_http_request_t* r, Bytes where) noexcept {
    ngx_str_t uri;
    ngx_str_t args = ngx_null_string;
    ngx_uint_t flags = NGX_HTTP_LOG_UNSAFE;
    if (!pool_copy(r->pool, to_str(where), &uri) || uri.len == 0) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (uri.data[0] == '@') {
        return ngx_http_named_location(r, &uri);
    }
    if (ngx_http_parse_unsafe_uri(r, &uri, &args, &flags) != NGX_OK) {
        return NGX_HTTP_NOT_FOUND;
    }
    if (r->method != NGX_HTTP_HEAD) {
        r->method = NGX_HTTP_GET;
        r->method_name = ngx_http_core_get_method;
    }
    return ngx_http_internal_redirect(r, &uri, &args);
}

ngx_int_t redirect_by(ngx_http_request_t* r, const http::Fields& fields) noexcept {
    const http::Field* where = fields.find("X-Accel-Redirect");
    if (where == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    for (const http::Field& field : fields) {
        if (!obey(r, field.name, field.value)) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return go(r, where->value);
}

bool is_status_line(Bytes name) noexcept {
    return base::equal_nocase(name, "Location") || base::equal_nocase(name, "WWW-Authenticate");
}

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
        r->headers_out.location = h;   // made absolute for this client
    } else {
        r->headers_out.www_authenticate = h;
    }
    return true;
}

}  // namespace

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
    leader->redirect = redirect;
    return true;
}

bool keep_status_lines(Ctx* leader, ngx_http_request_t* from) noexcept {
    ngx_http_request_t* r = leader->request;
    bool ok = true;
    each_header(from->headers_out.headers, [&](ngx_table_elt_t& h) {
        Bytes name;
        Bytes value;
        if (h.hash != 0 && is_status_line(view(h.key))) {
            ok = pool_copy(r->pool, view(h.key), &name) && pool_copy(r->pool, view(h.value), &value)
                 && put_status_line(r, name, value);
        }
        return ok;
    });
    return ok;
}

ngx_int_t redirect_handler(ngx_http_request_t* r) noexcept {
    Ctx* ctx = get_ctx(r);
    ctx->step = Step::kAnswered;
    return redirect_by(r, ctx->redirect->fields);
}

ngx_int_t act_on_stored(ngx_http_request_t* r, Ctx* ctx) noexcept {
    const cache::StoredResponse* stored = stored_response(ctx);
    http::Fields fields;
    if (stored == nullptr || !stored_fields(r->pool, *stored, &fields)) {   // pinned as long as the request lives
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    ctx->ttl = stored->facts.fresh_until - now_sec();
    ctx->age = http::current_age(stored->facts, now_sec());
    if ((shm::Store::flags(ctx->pin) & cache::kRedirectFlag) != 0) {
        return redirect_by(r, fields);
    }
    const bool intercepted = (shm::Store::flags(ctx->pin) & cache::kInterceptedFlag) != 0;
    for (const http::Field& field : fields) {
        const bool is_kept = !intercepted || (stored->status == NGX_HTTP_UNAUTHORIZED
                                              && base::equal_nocase(field.name, "WWW-Authenticate"));
        if (is_kept && !put_status_line(r, field.name, field.value)) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return stored->status;
}

}  // namespace slab_cache::ngx
