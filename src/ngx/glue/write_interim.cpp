#include "ngx/glue/ngx.h"

#include "ngx/glue/write_interim.h"

namespace slab_cache::ngx {
namespace {

// By nginx's own filters, which frame it as the protocol wants. They send all fields there are: those that access handlers have set
// already stay for the response.
#if SLAB_NGX_EARLY_HINTS
bool send_framed(ngx_http_request_t* r, Bytes link) noexcept {
    const ngx_list_t kept = r->headers_out.headers;
    ngx_table_elt_t* h = nullptr;
    bool sent = false;
    if (ngx_list_init(&r->headers_out.headers, r->pool, 1, sizeof(ngx_table_elt_t)) == NGX_OK &&
        (h = push_header(&r->headers_out.headers)) != nullptr) {
        static u_char lowcase[] = "link";
        h->key = to_str("Link");
        h->lowcase_key = lowcase;
        h->value = to_str(link);
        sent = ngx_http_top_early_hints_filter(r) == NGX_OK;
    }
    r->headers_out.headers = kept;
    return sent;
}
#else
bool send_framed(ngx_http_request_t*, Bytes) noexcept { return false; }
#endif

}  // namespace

// The write filter's rate limit is for bodies: here it would fix the rate before the response can name it.
void write_interim(ngx_http_request_t* r, ngx_buf_t* b) noexcept {
    ngx_chain_t out{b, nullptr};
    if (core_loc_conf(r)->tcp_nodelay) {
        (void) ngx_tcp_nodelay(r->connection);  // or the final header waits for this one's ACK
    }
    const size_t rate = r->limit_rate;
    const unsigned rate_set = r->limit_rate_set;
    r->limit_rate = 0;
    r->limit_rate_set = 1;
    ngx_http_write_filter(r, &out);  // a broken connection is noticed when the response is sent
    r->limit_rate = rate;
    r->limit_rate_set = rate_set;
}

bool can_send_early_hints(const ngx_http_request_t* r) noexcept {
    return r == r->main && !r->header_sent && !r->connection->error && !r->post_action &&
           (r->http_version == NGX_HTTP_VERSION_11 ||
            (SLAB_NGX_EARLY_HINTS != 0 && r->http_version > NGX_HTTP_VERSION_11));
}

bool send_early_hints(ngx_http_request_t* r, Bytes link) noexcept {
    static constexpr Bytes kStart = "HTTP/1.1 103 Early Hints\r\nLink: ";
    static constexpr Bytes kEnd = "\r\n\r\n";
    if (r->http_version != NGX_HTTP_VERSION_11) {
        return send_framed(r, link);
    }
    ngx_buf_t* b = ngx_create_temp_buf(r->pool, kStart.size() + link.size() + kEnd.size());
    if (b == nullptr) {
        return false;
    }
    for (const Bytes part : {kStart, link, kEnd}) {
        b->last = ngx_cpymem(b->last, part.data(), part.size());
    }
    b->flush = 1;
    write_interim(r, b);
    return true;
}

}  // namespace slab_cache::ngx
