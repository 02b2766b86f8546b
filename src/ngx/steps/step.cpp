#include "ngx/glue/ngx.h"

#include "ngx/steps/step.h"

#include "ngx/fill/clone.h"
#include "ngx/request/accounting.h"
#include "ngx/fill/direct_fill.h"
#include "ngx/fill/upstream_hooks.h"
#include "ngx/fill/host_field.h"
#include "ngx/steps/lookup.h"
#include "ngx/purge/purge_method.h"
#include "ngx/answer/redirect.h"
#include "ngx/answer/relay.h"
#include "ngx/answer/serve.h"
#include "ngx/answer/serve_growing.h"

namespace slab_cache::ngx {
namespace {

Next step(Ctx* ctx) noexcept {
    switch (ctx->step) {
    case Step::kStart:
        return start(ctx);
    case Step::kBody:
        return begin_lookup(ctx);
    case Step::kLookup:
        return lookup(ctx);
    case Step::kWait:
        return wait(ctx);
    case Step::kServe:
    case Step::kRelay:
    case Step::kRedirect:
        return Next::kServe;
    case Step::kDirect:
        return Next::kDirect;
    case Step::kPass:
        return Next::kDecline;
    case Step::kStreaming:
    case Step::kRelaying:
    case Step::kAsking:
    case Step::kAnswered:
        break;  // its phases are over
    }
    return Next::kError;
}

ngx_int_t leave_parked(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    r->write_event_handler = ngx_http_core_run_phases;
    if (r == r->main && r->read_event_handler == ngx_http_test_reading) {
        r->read_event_handler = ngx_http_block_reading;
    }
    return NGX_OK;
}

ngx_http_handler_pt handler_of(Step step) noexcept {
    return step == Step::kRelay ? relay_handler : step == Step::kRedirect ? redirect_handler : serve_handler;
}

ngx_int_t run(ngx_http_request_t* r, Ctx* ctx) noexcept {
    for (;;) {
        switch (step(ctx)) {
        case Next::kMore:
            continue;
        case Next::kWait:
            return NGX_AGAIN;
        case Next::kReading:
            return NGX_DONE;
        case Next::kDecline:
            leave_parked(ctx);
            count_pass(ctx);
            hook_upstream_later(r);
            return NGX_DECLINED;
        case Next::kDirect:
            leave_parked(ctx);
            return run_direct_fill(r, ctx);
        case Next::kServe:
            leave_parked(ctx);
            count_served(ctx);
            ctx->asks_origin = r->content_handler;
            r->content_handler = handler_of(ctx->step);
            return NGX_OK;
        case Next::kError:
            leave_parked(ctx);
            count_served(ctx);
            set_step(ctx, Step::kAnswered);  // an error_page may go another way: nothing wakes this one any more
            return ctx->error_status >= NGX_HTTP_SPECIAL_RESPONSE ? static_cast<ngx_int_t>(ctx->error_status)
                                                                  : static_cast<ngx_int_t>(NGX_HTTP_BAD_GATEWAY);
        }
    }
}

}  // namespace

void resume(void* data) noexcept {
    auto* ctx = static_cast<Ctx*>(data);
    ngx_http_request_t* r = ctx->request;
    ngx_connection_t* c = r->connection;
    switch (ctx->step) {
    case Step::kStreaming:
        resume_stream(ctx);
        break;
    case Step::kRelaying:
        resume_relay(ctx);
        break;
    case Step::kWait:
        ngx_http_set_log_request(c->log, r);
        r->write_event_handler = ngx_http_core_run_phases;
        ngx_http_core_run_phases(r);
        break;
    case Step::kStart:
    case Step::kBody:
    case Step::kLookup:
    case Step::kServe:
    case Step::kRelay:
    case Step::kRedirect:
    case Step::kAnswered:
    case Step::kDirect:
    case Step::kAsking:
    case Step::kPass:
        return;
    }
    ngx_http_run_posted_requests(c);
}

namespace {

bool is_cached_here(ngx_http_request_t* r, const LocConf* conf) noexcept {
    return (conf->zone != nullptr || conf->zone_value != nullptr) && !is_clone(r->connection) && !conf->api;
}

}  // namespace

ngx_int_t arrive(ngx_http_request_t* r) noexcept {
    auto* conf = loc_conf<LocConf>(r);
    const bool is_cached = is_cached_here(r, conf);
    if ((is_cached || conf->api) && !complete_host_field(r)) {
        return NGX_ERROR;
    }
    if (!is_cached || get_ctx(r) != nullptr) {
        return NGX_DECLINED;
    }
    return make_ctx(r, conf) != nullptr ? NGX_DECLINED : NGX_ERROR;
}

ngx_int_t purge_phase_handler(ngx_http_request_t* r) noexcept {
    if (Ctx* ctx = get_ctx(r); ctx != nullptr && !ctx->was_let_in) {
        ctx->was_let_in = true;
        ctx->status = CacheStatus::kMiss;  // should another location answer, that is what the log says
        ctx->reason = http::Reason::kElsewhere;
    }
    auto* conf = loc_conf<LocConf>(r);
    if (is_purge(r, conf->purge) && !is_clone(r->connection) && !conf->api && !was_refused(r)) {
        if (Ctx* ctx = get_ctx(r); ctx != nullptr) {  // a purge asks for nothing
            ctx->status = CacheStatus::kNone;
            ctx->reason = http::Reason::kNone;
        }
        r->content_handler = purge_handler;
        return NGX_OK;
    }
#ifdef SLAB_TWIN_EARLY  // a broken twin, for tests: asked before try_files
    return content_handler(r);
#else
    return NGX_DECLINED;
#endif
}

ngx_int_t content_handler(ngx_http_request_t* r) noexcept {
    auto* conf = loc_conf<LocConf>(r);
    if (!is_cached_here(r, conf) || r->content_handler == purge_handler) {
        return NGX_DECLINED;  // a fill is what we are waiting for; the admin location is no content
    }
    Ctx* ctx = get_ctx(r);
    if (ctx == nullptr || ctx->conf != conf) {
        ctx = make_ctx(r, conf);
        if (ctx == nullptr) {
            return NGX_ERROR;
        }
    }
    if (ctx->step == Step::kPass || ctx->step == Step::kAsking) {
        return NGX_DECLINED;  // under way
    }
    if (ctx->step == Step::kStart) {
        ctx->status = CacheStatus::kNone;
        ctx->reason = http::Reason::kNone;
        ctx->has_type = r->content_handler == nullptr && r->headers_out.content_type.len != 0;
    }
    return run(r, ctx);
}

}  // namespace slab_cache::ngx
