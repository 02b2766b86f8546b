// The first step: which zone, which URL, which key; a QUERY's body; what goes by without a lookup.
#include "ngx/glue/ngx.h"

#include "http/storable.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/fill/passing_post.h"
#include "ngx/request/identity.h"
#include "ngx/steps/lookup.h"
#include "ngx/zone/hit_for_miss.h"
#include "ngx/request/cache_key.h"
#include "ngx/request/sliced_request.h"
#include "ngx/steps/step.h"

namespace slab_cache::ngx {
namespace {

constexpr off_t kMaxBody = 64 * 1024;

void on_body(ngx_http_request_t* r) noexcept {
    r->preserve_body = 1;
    r->write_event_handler = ngx_http_core_run_phases;
    ngx_http_core_run_phases(r);
}

// A QUERY's body is part of its key, a POST's where the key says so: it must be there before anything can be looked up.
Next read_body(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    if (r != r->main || r->headers_in.content_length_n > kMaxBody) {
        pass(ctx, http::Reason::kRequestBody);
        return Next::kMore;
    }
    set_step(ctx, Step::kBody);
    const ngx_int_t rc = ngx_http_read_client_request_body(r, on_body);
    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ctx->error_status = static_cast<ngx_uint_t>(rc);
        return Next::kError;
    }
    ngx_http_finalize_request(r, NGX_DONE);  // the count that reading took
    return Next::kReading;
}

// What is in a file a fill cannot send, and $request_body does not show.
bool is_body_in_memory(const ngx_http_request_t* r) noexcept {
    const ngx_http_request_body_t* body = r->request_body;
    for (ngx_chain_t* cl = body != nullptr ? body->bufs : nullptr; cl != nullptr; cl = cl->next) {
        if (cl->buf->in_file) {
            return false;
        }
    }
    return body == nullptr || body->temp_file == nullptr;
}

}  // namespace

Next begin_lookup(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    if (r->method == NGX_HTTP_POST) {
        // Looked at before the body was there (by a map in `if`, say), it would stay empty, and all bodies have one key.
        forget_variable(r, "request_body");
    }
    const http::Reason no = ctx->key.empty() ? read_key(ctx) : http::Reason::kNone;
    if (no != http::Reason::kNone) {
        pass(ctx, no);
        return Next::kMore;
    }
    if (r->method == NGX_HTTP_POST && !is_body_in_memory(r)) {
        pass(ctx, http::Reason::kRequestBody);
        return Next::kMore;
    }
    switch (ngx_http_test_predicates(r, ctx->conf->bypass)) {
    case NGX_OK:
        break;
    case NGX_DECLINED:  // as proxy_cache_bypass: not answered from the cache, but stored
        ctx->status = CacheStatus::kBypass;
        ctx->reason = http::Reason::kBypass;
        ctx->unlocked = true;
        ctx->marks_nothing = true;
        return fill_as_leader(ctx, {});
    default:
        return Next::kError;
    }
    set_step(ctx, Step::kLookup);
    return Next::kMore;
}

Next start(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    bool is_unknown = false;
    ctx->zone = zone_for(r, ctx->conf, &is_unknown);
    if (ctx->zone == nullptr) {
        ctx->status = CacheStatus::kNone;
        ctx->error_status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return is_unknown ? Next::kError : Next::kDecline;
    }
    ctx->status = CacheStatus::kMiss;
    init_waiter(&ctx->waiter, ctx->zone, r->connection->log, resume, ctx);
    const http::Reason no_slice = read_slice(ctx);
    if (!read_url(ctx)) {
        return Next::kError;
    }
    if (!usable(ctx->zone)) {
        pass(ctx, http::Reason::kBusy);
        return Next::kMore;
    }
    // The key first: its bucket comes from memory while the rest is looked at. One that is too long is found again.
    if ((r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0 && read_key(ctx) == http::Reason::kNone) {
        ctx->zone->store.find_prefetch(ctx->primary);
        if (ctx->zone->missing) {  // then this one is likely to miss too
            ctx->zone->store.mark_prefetch(mark_digest(ctx->primary, ctx->identity, mark_kind(r)));
            ctx->zone->store.lease_prefetch(lease_digest(ctx));
        }
    }
    const http::Request request = request_facts(r);
    const http::Verdict may = http::may_use_cache(request, ctx->conf->policy);
    if (!may) {
        ctx->status = CacheStatus::kNone;  // as in nginx: it was not looked for
        pass(ctx, may.reason);
        if (may.reason == http::Reason::kMethod) {
            note_passing_post(ctx);
        }
        return Next::kMore;
    }
    if (no_slice != http::Reason::kNone) {
        pass(ctx, no_slice);
        return Next::kMore;
    }
    if (request.method != http::Method::kPost && request.method != http::Method::kQuery) {
        return begin_lookup(ctx);
    }
    if (request.method == http::Method::kPost && ctx->conf->key == nullptr) {  // at a server's own level
        pass(ctx, http::Reason::kMethod);
        return Next::kMore;
    }
    return read_body(ctx);
}

}  // namespace slab_cache::ngx
