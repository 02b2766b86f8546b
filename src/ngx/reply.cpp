#include "ngx/ngx.h"

#include "ngx/reply.h"

#include <jansson.h>

namespace slab_cache::ngx {

ngx_int_t send_reply(ngx_http_request_t* r, ngx_uint_t status, Bytes type, Bytes body) noexcept {
    auto& out = r->headers_out;
    out.status = status;
    out.content_type = to_str(type);
    out.content_type_len = type.size();
    out.content_type_lowcase = nullptr;
    out.content_length_n = static_cast<off_t>(body.size());
    r->disable_not_modified = 1;
    ngx_table_elt_t* h = push_header(&out.headers);
    ngx_buf_t* b = static_cast<ngx_buf_t*>(ngx_calloc_buf(r->pool));
    if (h == nullptr || b == nullptr) {
        return NGX_ERROR;
    }
    static u_char lowcase[] = "cache-control";
    h->key = to_str("Cache-Control");
    h->lowcase_key = lowcase;
    h->value = to_str("no-store");
    const ngx_int_t rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }
    b->pos = b->start = mutable_data(body);
    b->last = b->end = b->pos + body.size();
    b->memory = body.empty() ? 0 : 1;
    b->last_buf = r == r->main;
    b->last_in_chain = 1;
    ngx_chain_t link{b, nullptr};
    return ngx_http_output_filter(r, &link);
}

ngx_int_t send_json(ngx_http_request_t* r, ngx_uint_t status, Bytes body) noexcept {
    return send_reply(r, status, "application/json", body);
}

ngx_int_t send_problem(ngx_http_request_t* r, ngx_uint_t status, Bytes title, Bytes detail) noexcept {
    json_t* problem =
        json_pack("{s:s%, s:i, s:s%}", "title", title.data(), title.size(), "status",
                  static_cast<int>(status), "detail", detail.data(), detail.size());
    char* text = problem != nullptr ? json_dumps(problem, JSON_COMPACT) : nullptr;
    json_decref(problem);
    if (text == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    Bytes body;
    const bool ok = pool_copy(r->pool, text, &body);
    free(text);
    return ok ? send_reply(r, status, "application/problem+json", body)
              : static_cast<ngx_int_t>(NGX_HTTP_INTERNAL_SERVER_ERROR);
}

}  // namespace slab_cache::ngx
