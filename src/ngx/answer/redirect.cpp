#include "ngx/glue/ngx.h"

#include "ngx/answer/redirect.h"

#include "cache/stored_head.h"
#include "cache/variant_marker.h"
#include "http/cache_control.h"
#include "ngx/request/controls.h"
#include "ngx/request/response_header.h"
#include "ngx/fill/kept_redirect.h"
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

}  // namespace

ngx_int_t redirect_handler(ngx_http_request_t* r) noexcept {
    Ctx* ctx = get_ctx(r);
    set_step(ctx, Step::kAnswered);
    return redirect_by(r, ctx->from_fill.redirect->fields);
}

ngx_int_t act_on_stored(ngx_http_request_t* r, Ctx* ctx) noexcept {
    const cache::StoredResponse* stored = stored_response(ctx);
    http::Fields fields;
    if (stored == nullptr || !stored_fields(r->pool, *stored, &fields)) {  // pinned as long as the request lives
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    ctx->ttl = stored->facts.fresh_until - now_sec();
    ctx->age = http::current_age(stored->facts, now_sec());
    if ((shm::Store::flags(ctx->pin) & cache::kRedirectFlag) != 0) {
        return redirect_by(r, fields);
    }
    const bool intercepted = (shm::Store::flags(ctx->pin) & cache::kInterceptedFlag) != 0;
    for (const http::Field& field : fields) {
        const bool is_kept = !intercepted || (stored->status == NGX_HTTP_UNAUTHORIZED &&
                                              base::equal_nocase(field.name, "WWW-Authenticate"));
        if (is_kept && !put_status_line(r, field.name, field.value)) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return stored->status;
}

}  // namespace slab_cache::ngx
