#include "ngx/glue/ngx.h"

#include "ngx/answer/first_piece.h"

namespace slab_cache::ngx {
namespace {

// Takes from the front of *in until `to` is full. Bufs that were emptied are unlinked, and give their flags to `to`.
void take_front(ngx_chain_t** in, ngx_buf_t* to) noexcept {
    while (*in != nullptr && to->last < to->end) {
        ngx_buf_t* from = (*in)->buf;
        const ssize_t left = from->last - from->pos;
        const size_t n = static_cast<size_t>(left < to->end - to->last ? left : to->end - to->last);
        to->last = ngx_cpymem(to->last, from->pos, n);
        from->pos += n;
        if (from->pos == from->last) {
            to->flush = from->flush;
            to->last_buf = from->last_buf;
            to->last_in_chain = from->last_in_chain;
            *in = (*in)->next;
        }
    }
}

}  // namespace

ngx_chain_t* join_first_piece(ngx_http_request_t* r, ngx_chain_t* in) noexcept {
    if (!is_header_held(r) || in == nullptr || in->next == nullptr ||
        in->buf->last - in->buf->pos >= static_cast<ssize_t>(kFirstPiece)) {
        return in;
    }
    ngx_chain_t* out = ngx_alloc_chain_link(r->pool);
    ngx_buf_t* b = ngx_create_temp_buf(r->pool, kFirstPiece);
    if (out == nullptr || b == nullptr) {
        return nullptr;
    }
    take_front(&in, b);
    out->buf = b;
    out->next = in;
    return out;
}

}  // namespace slab_cache::ngx
