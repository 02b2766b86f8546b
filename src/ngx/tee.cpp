#include "ngx/ngx.h"

#include "ngx/tee.h"

#include "http/storable.h"
#include "ngx/counters.h"
#include "ngx/fill.h"
#include "ngx/origin.h"
#include "ngx/publish.h"
#include "ngx/request.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kReadBytes = 32 * 1024;

// begin_object() wants a Fill: this one has no lease and no leader.
Fill* fill_of_post(ngx_http_request_t* r, Ctx* ctx) noexcept {
    Fill* fill = fill_within(ctx);
    if (fill != nullptr) {
        fill->birth = ctx->post_birth;
        fill->started_sec = r->start_sec;
    }
    return fill;
}

void stop(Ctx* ctx) noexcept {
    if (ctx->tee != nullptr) {
        ctx->zone->store.abort(&ctx->tee->writer);
        ctx->tee = nullptr;
    }
}

bool take(Ctx* ctx, const char* data, size_t n) noexcept {
    Fill* fill = ctx->tee;
    fill->received += n;
    return ctx->zone->store.append(&fill->writer, {data, n}, now_sec()) == shm::Status::kOk;
}

bool take_file(Ctx* ctx, ngx_buf_t* b) noexcept {
    Fill* fill = ctx->tee;
    if (fill->read_buffer == nullptr) {
        fill->read_buffer = static_cast<u_char*>(ngx_palloc(fill->request->pool, kReadBytes));
        if (fill->read_buffer == nullptr) {
            return false;
        }
    }
    for (off_t at = b->file_pos; at < b->file_last;) {
        const off_t left = b->file_last - at;
        const size_t want = left < static_cast<off_t>(kReadBytes) ? static_cast<size_t>(left) : kReadBytes;
        const ssize_t n = ngx_read_file(b->file, fill->read_buffer, want, at);
        if (n <= 0 || !take(ctx, reinterpret_cast<char*>(fill->read_buffer), static_cast<size_t>(n))) {
            return false;
        }
        at += n;
    }
    return true;
}

}  // namespace

void tee_header(ngx_http_request_t* r, Ctx* ctx) noexcept {
    Fill* fill = ctx->post_birth != 0 ? fill_of_post(r, ctx) : nullptr;
    OriginResponse origin;
    if (fill == nullptr || !read_origin(fill, &origin)) {
        return;
    }
    http::Request request = request_facts(r);
    request.target = {is_https(r) ? Bytes("https") : Bytes("http"),
                      r->headers_in.host != nullptr ? view(r->headers_in.host->value) : ctx->host,
                      view(r->unparsed_uri)};
    if (!http::post_answers_get(request, origin.response, origin.freshness)
        || !http::storable(request, origin.response, origin.freshness, ctx->conf->policy)) {
        return;
    }
    http::Reason reason = http::Reason::kNone;
    if (begin_object(fill, origin, &reason) == shm::Status::kOk) {
        ctx->tee = fill;
    }
}

void tee_body(Ctx* ctx, ngx_chain_t* in) noexcept {
    for (; in != nullptr && ctx->tee != nullptr; in = in->next) {
        ngx_buf_t* b = in->buf;
        const bool ok = ngx_buf_in_memory(b)
                            ? take(ctx, reinterpret_cast<char*>(b->pos), static_cast<size_t>(b->last - b->pos))
                        : b->in_file ? take_file(ctx, b)
                                     : true;
        if (!ok) {
            stop(ctx);
            return;
        }
        if (b->last_buf) {
            Fill* fill = ctx->tee;
            if (fill->expected < 0 || fill->received == static_cast<uint64_t>(fill->expected)) {
                if (ctx->zone->store.commit(&fill->writer, now_sec()) == shm::Status::kOk) {
                    count(ctx->zone, Counter::kFillsStored);
                }
            }
            stop(ctx);
        }
    }
}

}  // namespace slab_cache::ngx
