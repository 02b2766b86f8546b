#include "ngx/glue/ngx.h"

#include "ngx/glue/request_body.h"

namespace slab_cache::ngx {
namespace {

bool copy_buf(ngx_buf_t* b, u_char** to) noexcept {
    if (!b->in_file) {
        if (b->last != b->pos) {
            *to = ngx_cpymem(*to, b->pos, b->last - b->pos);
        }
        return true;
    }
    const auto n = static_cast<size_t>(b->file_last - b->file_pos);
    const bool ok = ngx_read_file(b->file, *to, n, b->file_pos) == static_cast<ssize_t>(n);
    *to += n;
    return ok;
}

}  // namespace

bool whole_body(ngx_http_request_t* r, size_t limit, Bytes* out) noexcept {
    ngx_chain_t* bufs = r->request_body != nullptr ? r->request_body->bufs : nullptr;
    size_t size = 0;
    for (ngx_chain_t* cl = bufs; cl != nullptr; cl = cl->next) {
        size += static_cast<size_t>(ngx_buf_size(cl->buf));
    }
    auto* p = size <= limit ? static_cast<u_char*>(ngx_palloc(r->pool, size + 1)) : nullptr;
    if (p == nullptr) {
        return false;
    }
    *out = {reinterpret_cast<char*>(p), size};
    for (ngx_chain_t* cl = bufs; cl != nullptr; cl = cl->next) {
        if (!copy_buf(cl->buf, &p)) {
            return false;
        }
    }
    return true;
}

}  // namespace slab_cache::ngx
