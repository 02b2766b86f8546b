#include "ngx/glue/ngx.h"

#include "ngx/answer/serve.h"

#include "cache/stored_head.h"
#include "http/validator.h"
#include "cache/variant_marker.h"
#include "ngx/request/response_header.h"
#include "ngx/answer/first_piece.h"
#include "ngx/answer/redirect.h"
#include "ngx/answer/serve_growing.h"
#include "ngx/zone/whole_head.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kSegmentsPerCall = 64;   // what one writev() of nginx takes
constexpr int64_t kSmallBody = 32 * 1024;

ngx_chain_t* new_link(ngx_http_request_t* r, const shm::Segment& s) noexcept {
    ngx_chain_t* link = ngx_alloc_chain_link(r->pool);
    auto* b = static_cast<ngx_buf_t*>(ngx_calloc_buf(r->pool));
    if (link == nullptr || b == nullptr) {
        return nullptr;
    }
    b->start = b->pos = reinterpret_cast<u_char*>(const_cast<char*>(s.data));
    b->end = b->last = b->pos + s.len;
    b->memory = 1;   // read-only: no filter may write into the zone
    link->buf = b;
    link->next = nullptr;
    return link;
}

ngx_int_t send_whole(ngx_http_request_t* r, Ctx* ctx) noexcept {
    ngx_chain_t* out = nullptr;
    ngx_chain_t** last = &out;
    ngx_buf_t* tail = nullptr;
    const uint64_t length = static_cast<uint64_t>(shm::Store::body_length(ctx->pin));
    uint64_t offset = 0;
    uint64_t cursor = 0;
    while (offset < length) {
        shm::Segment segment[kSegmentsPerCall];
        const uint32_t n =
            ctx->zone->store.segments(ctx->pin, offset, &cursor, segment, kSegmentsPerCall);
        if (n == 0) {
            return NGX_ERROR;   // the chain is shorter than its entry says
        }
        for (uint32_t i = 0; i < n; i++) {
            ngx_chain_t* link = new_link(r, segment[i]);
            if (link == nullptr) {
                return NGX_ERROR;
            }
            tail = link->buf;
            *last = link;
            last = &link->next;
            offset += segment[i].len;
        }
    }
    if (tail == nullptr) {
        return ngx_http_send_special(r, NGX_HTTP_LAST);
    }
    tail->last_buf = r == r->main;
    tail->last_in_chain = 1;
    out = join_first_piece(r, out);
    return out != nullptr ? ngx_http_output_filter(r, out) : NGX_ERROR;
}

// Several ranges want the body in one piece (nginx's range filter cuts single bufs): copy it, once.
ngx_int_t send_copy(ngx_http_request_t* r, Ctx* ctx) noexcept {
    const auto length = static_cast<size_t>(shm::Store::body_length(ctx->pin));
    ngx_buf_t* b = ngx_create_temp_buf(r->pool, length);
    if (b == nullptr) {
        return NGX_ERROR;
    }
    uint64_t cursor = 0;
    while (static_cast<size_t>(b->last - b->pos) < length) {
        shm::Segment segment[kSegmentsPerCall];
        const uint32_t n = ctx->zone->store.segments(
            ctx->pin, static_cast<uint64_t>(b->last - b->pos), &cursor, segment, kSegmentsPerCall);
        if (n == 0) {
            return NGX_ERROR;
        }
        for (uint32_t i = 0; i < n; i++) {
            b->last = ngx_cpymem(b->last, segment[i].data, segment[i].len);
        }
    }
    b->last_buf = r == r->main;
    b->last_in_chain = 1;
    ngx_chain_t out{b, nullptr};
    return ngx_http_output_filter(r, &out);
}

// Readers who take nothing hold their objects for as long. A worker has 1,024 places for such, and somebody may want them all:
// where half of them are taken, small objects are copied and let go.
bool is_copied(ngx_http_request_t* r, Ctx* ctx) noexcept {
    return ctx->zone->store.are_pins_short() && r == r->main && shm::Store::is_complete(ctx->pin)
           && shm::Store::body_length(ctx->pin) <= kSmallBody;
}

// The header's fields are views of the head.
bool take_head(ngx_http_request_t* r, Ctx* ctx) noexcept {
    ctx->stored = {};
    ctx->stored_ref = 0;
    if (!cache::decode_head(copied_head(r->pool, ctx->zone->store, ctx->pin), &ctx->stored)) {
        return false;
    }
    ctx->stored_ref = ctx->pin.ref;
    return true;
}

void let_go(Ctx* ctx) noexcept {
    ctx->hits = shm::Store::hits(ctx->pin);
    ctx->is_copied = true;
    ctx->zone->store.unpin(&ctx->pin);
}

ngx_int_t send_taken(ngx_http_request_t* r, Ctx* ctx) noexcept {
    const ngx_int_t rc = shm::Store::body_length(ctx->pin) == 0 ? ngx_http_send_special(r, NGX_HTTP_LAST) : send_copy(r, ctx);
    let_go(ctx);
    return rc;
}

}  // namespace

ngx_int_t serve_handler(ngx_http_request_t* r) noexcept {
    Ctx* ctx = get_ctx(r);
    ctx->step = Step::kAnswered;
    if ((shm::Store::flags(ctx->pin) & (cache::kStatusFlag | cache::kRedirectFlag)) != 0) {
        return act_on_stored(r, ctx);
    }
    const ngx_int_t discard = ngx_http_discard_request_body(r);
    if (discard != NGX_OK) {
        return discard;
    }
    const bool copied = is_copied(r, ctx);
    if (copied && !take_head(r, ctx)) {
        return NGX_ERROR;
    }
    const ngx_int_t built = build_header(r, ctx);
    if (built != NGX_OK) {
        return built;
    }
    const bool complete = shm::Store::is_complete(ctx->pin);
    const ngx_int_t rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only || r->filter_finalize) {
        if (copied) {
            let_go(ctx);
        }
        return rc;   // as in relay_handler()
    }
    if (copied) {
        return send_taken(r, ctx);
    }
    if (!complete) {
        return start_stream(r, ctx);
    }
    return wants_copy(r) ? send_copy(r, ctx) : send_whole(r, ctx);
}

}  // namespace slab_cache::ngx
