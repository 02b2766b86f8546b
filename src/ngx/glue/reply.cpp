#include "ngx/glue/ngx.h"

#include "ngx/glue/reply.h"

#include <jansson.h>

namespace slab_cache::ngx {

bool add_answer_header(ngx_http_request_t* r, Bytes name, Bytes value) noexcept {
    ngx_table_elt_t* h = push_header(&r->headers_out.headers);
    if (h == nullptr) {
        return false;
    }
    h->key = to_str(name);
    h->value = to_str(value);
    h->lowcase_key = static_cast<u_char*>(ngx_pnalloc(r->pool, name.size()));
    if (h->lowcase_key == nullptr) {
        h->hash = 0;
        return false;
    }
    ngx_strlow(h->lowcase_key, h->key.data, h->key.len);
    return true;
}

ngx_int_t send_reply(ngx_http_request_t* r, ngx_uint_t status, Bytes type, Bytes body) noexcept {
    auto& out = r->headers_out;
    out.status = status;
    out.content_type = to_str(type);
    out.content_type_len = type.size();
    out.content_type_lowcase = nullptr;
    out.content_length_n = static_cast<off_t>(body.size());
    r->disable_not_modified = 1;
    // An answer that does not care for the body: what is left of it must not be read as the next request.
    r->expect_tested = 1;
    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }
    auto* b = static_cast<ngx_buf_t*>(ngx_calloc_buf(r->pool));
    if (b == nullptr || !add_answer_header(r, "Cache-Control", "no-store") ||
        !add_answer_header(r, "X-Content-Type-Options", "nosniff")) {
        return NGX_ERROR;
    }
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

namespace {

ngx_int_t send_document(ngx_http_request_t* r, ngx_uint_t status, Bytes type, json_t* document, size_t flags) noexcept {
    char* text = document != nullptr ? json_dumps(document, flags) : nullptr;
    json_decref(document);
    if (text == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    Bytes body;
    const bool ok = pool_copy(r->pool, text, &body);
    free(text);
    return ok ? send_reply(r, status, type, body) : static_cast<ngx_int_t>(NGX_HTTP_INTERNAL_SERVER_ERROR);
}

}  // namespace

ngx_int_t send_json(ngx_http_request_t* r, ngx_uint_t status, Bytes body) noexcept {
    return send_reply(r, status, "application/json", body);
}

ngx_int_t send_json(ngx_http_request_t* r, ngx_uint_t status, json_t* document) noexcept {
    return send_document(r, status, "application/json", document, JSON_INDENT(2));
}

ngx_int_t send_problem(ngx_http_request_t* r, ngx_uint_t status, Bytes title, Bytes detail, Bytes reason) noexcept {
    json_t* problem = json_pack("{s:o, s:i, s:o}", "title", json_text(title), "status", static_cast<int>(status),
                                "detail", json_text(detail));
    if (problem != nullptr && !reason.empty()) {
        json_object_set_new(problem, "reason", json_text(reason));
    }
    return send_document(r, status, "application/problem+json", problem, JSON_COMPACT);
}

json_t* json_text(Bytes text) noexcept {
    json_t* json = json_stringn(text.data() != nullptr ? text.data() : "", text.size());
    if (json != nullptr) {
        return json;
    }
    auto* plain = static_cast<char*>(malloc(text.size() + 1));
    if (plain == nullptr) {
        return nullptr;
    }
    for (size_t i = 0; i < text.size(); i++) {
        plain[i] = static_cast<unsigned char>(text[i]) < 0x80 ? text[i] : '?';
    }
    json = json_stringn(plain, text.size());
    free(plain);
    return json;
}

}  // namespace slab_cache::ngx
