#include "ngx/glue/ngx.h"

#include "ngx/answer/serve.h"

#include "cache/stored_head.h"
#include "http/validator.h"
#include "cache/variant_marker.h"
#include "ngx/request/response_header.h"
#include "ngx/answer/first_piece.h"
#include "ngx/answer/redirect.h"
#include "ngx/answer/serve_growing.h"
#include "ngx/answer/spool.h"
#include "ngx/request/sliced_request.h"
#include "ngx/zone/whole_head.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kSegmentsPerCall = 64;  // what one writev() of nginx takes

ngx_chain_t* new_link(ngx_http_request_t* r, const shm::Segment& s) noexcept {
    ngx_chain_t* link = ngx_alloc_chain_link(r->pool);
    auto* b = static_cast<ngx_buf_t*>(ngx_calloc_buf(r->pool));
    if (link == nullptr || b == nullptr) {
        return nullptr;
    }
    b->start = b->pos = reinterpret_cast<u_char*>(const_cast<char*>(s.data));
    b->end = b->last = b->pos + s.len;
    b->memory = 1;  // read-only: no filter may write into the zone
    link->buf = b;
    link->next = nullptr;
    return link;
}

// The body up to where the answer ends, last buf and all; null where there is none. Several ranges are cut from all of it.
// False: the object is shorter than its entry says, or no memory.
bool body_chain(ngx_http_request_t* r, Ctx* ctx, ngx_chain_t** chain) noexcept {
    ngx_chain_t* out = nullptr;
    ngx_chain_t** last = &out;
    ngx_buf_t* tail = nullptr;
    const uint64_t length = static_cast<uint64_t>(shm::Store::body_length(ctx->pin));
    const uint64_t wanted = wants_one_buf(r) ? UINT64_MAX : end_of_answer(ctx);
    const uint64_t end = wanted < length ? wanted : length;
    uint64_t offset = 0;
    uint64_t cursor = 0;
    while (offset < end) {
        shm::Segment segment[kSegmentsPerCall];
        const uint32_t n = ctx->zone->store.segments(ctx->pin, offset, &cursor, segment, kSegmentsPerCall);
        if (n == 0) {
            return false;
        }
        for (uint32_t i = 0; i < n; i++) {
            ngx_chain_t* link = new_link(r, segment[i]);
            if (link == nullptr) {
                return false;
            }
            tail = link->buf;
            *last = link;
            last = &link->next;
            offset += segment[i].len;
        }
    }
    if (tail != nullptr) {
        tail->last_buf = r == r->main;
        tail->last_in_chain = 1;
    }
    *chain = out;
    return true;
}

void note_reader(Ctx* ctx) noexcept {
    if (shm::Store::body_length(ctx->pin) > kHeldBody) {
        ctx->zone->store.hold(ctx->pin);
    }
}

ngx_int_t send_whole(ngx_http_request_t* r, Ctx* ctx) noexcept {
    ngx_chain_t* out = nullptr;
    if (!body_chain(r, ctx, &out)) {
        return NGX_ERROR;
    }
    note_reader(ctx);
    if (out == nullptr) {
        return ngx_http_send_special(r, NGX_HTTP_LAST);
    }
    out = join_first_piece(r, out);
    return out != nullptr ? ngx_http_output_filter(r, out) : NGX_ERROR;
}

bool memory_chain(ngx_http_request_t* r, Ctx* ctx, ngx_chain_t** chain) noexcept {
    const auto length = static_cast<size_t>(shm::Store::body_length(ctx->pin));
    ngx_buf_t* b = ngx_create_temp_buf(r->pool, length);
    ngx_chain_t* link = ngx_alloc_chain_link(r->pool);
    if (b == nullptr || link == nullptr) {
        return false;
    }
    uint64_t cursor = 0;
    while (static_cast<size_t>(b->last - b->pos) < length) {
        shm::Segment segment[kSegmentsPerCall];
        const uint32_t n = ctx->zone->store.segments(ctx->pin, static_cast<uint64_t>(b->last - b->pos), &cursor,
                                                     segment, kSegmentsPerCall);
        if (n == 0) {
            return false;
        }
        for (uint32_t i = 0; i < n; i++) {
            b->last = ngx_cpymem(b->last, segment[i].data, segment[i].len);
        }
    }
    b->last_buf = r == r->main;
    b->last_in_chain = 1;
    *link = {b, nullptr};
    *chain = link;
    return true;
}

// To memory where it is small, else to a file. False: to neither.
bool copied_chain(ngx_http_request_t* r, Ctx* ctx, ngx_chain_t** chain) noexcept {
    if (shm::Store::body_length(ctx->pin) <= kSmallBody) {
        return memory_chain(r, ctx, chain);
    }
    return body_chain(r, ctx, chain) && spool(r, ctx, chain);
}

// Several ranges want the body in one piece: nginx's range filter cuts single bufs.
ngx_int_t send_parts(ngx_http_request_t* r, Ctx* ctx) noexcept {
    ngx_chain_t* out = nullptr;
    note_reader(ctx);  // the header's fields are views of the object
    return copied_chain(r, ctx, &out) || memory_chain(r, ctx, &out) ? ngx_http_output_filter(r, out) : NGX_ERROR;
}

// The object is let go before a byte of the copy is sent.
ngx_int_t send_copied(ngx_http_request_t* r, Ctx* ctx) noexcept {
    ngx_chain_t* out = nullptr;
    if (shm::Store::body_length(ctx->pin) == 0) {
        release_object(ctx);
        return ngx_http_send_special(r, NGX_HTTP_LAST);
    }
    if (copied_chain(r, ctx, &out)) {
        release_object(ctx);
        return ngx_http_output_filter(r, out);
    }
    return wants_one_buf(r) ? send_parts(r, ctx) : send_whole(r, ctx);
}

}  // namespace

ngx_int_t serve_handler(ngx_http_request_t* r) noexcept {
    Ctx* ctx = get_ctx(r);
    set_step(ctx, Step::kAnswered);
    if ((shm::Store::flags(ctx->pin) & (cache::kStatusFlag | cache::kRedirectFlag)) != 0) {
        return act_on_stored(r, ctx);
    }
    const ngx_int_t discard = ngx_http_discard_request_body(r);
    if (discard != NGX_OK) {
        return discard;
    }
    const bool copied = must_copy(r, ctx);
    // A part is let go when it was sent; the slice module keeps its ETag until the next one.
    if ((copied || ctx->part.is_subrequest()) && !take_head(r, ctx)) {
        return NGX_ERROR;
    }
    if (!fits_whole(ctx)) {
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
            release_object(ctx);
        }
        return rc;  // as in relay_handler()
    }
    if (!complete || ctx->part.is_subrequest()) {
        ctx->object = copied ? ObjectAt::kSpooled : ObjectAt::kZone;
        if (!copied) {
            ctx->zone->store.hold(ctx->pin);
        }
        return start_stream(r, ctx);
    }
    if (copied) {
        return send_copied(r, ctx);
    }
    return wants_one_buf(r) ? send_parts(r, ctx) : send_whole(r, ctx);
}

}  // namespace slab_cache::ngx
