#include "ngx/glue/ngx.h"

#include "ngx/fill/post_copy.h"

#include "cache/globs.h"
#include "cache/url.h"
#include "http/storable.h"
#include "ngx/conf/credentials.h"
#include "ngx/fill/copy_in_passing.h"
#include "ngx/fill/direct_fill.h"
#include "ngx/fill/object_selectors.h"
#include "ngx/request/cache_key.h"
#include "ngx/request/find_object.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/user_area.h"
#include "ngx/zone/validity.h"

namespace slab_cache::ngx {
namespace {

bool may_replace(const Ctx* ctx) noexcept {
    const ngx_http_request_t* r = ctx->request;
    const LocConf* conf = ctx->conf;
    return r->method == NGX_HTTP_POST && r == r->main && (conf->invalidate & kInvalidateReplace) != 0 && conf->key == nullptr
           && conf->min_uses <= 1 && !ctx->fill_args_differ;
}

uint64_t selector_of(const Ctx* ctx) noexcept {
    cache::Url url;
    return cache::split_url(arena_of(ctx->request->pool), ctx->host, ctx->uri, &url)
               ? cache::url_selector(url, ctx->zone->store.secret())
               : 0;
}

// The rest of what a GET's answer must be.
bool is_storable(const Ctx* ctx, const OriginResponse& origin) noexcept {
    ngx_http_request_t* r = ctx->request;
    http::Request request = request_facts(r);
    request.method = http::Method::kGet;
    request.has_body = false;
    request.has_authorization = has_unkeyed_credentials(r);
    return static_cast<bool>(http::storable(request, origin.response, origin.freshness, ctx->conf->policy))
           && ngx_http_test_predicates(r, ctx->conf->no_cache) == NGX_OK;
}

// Where a GET would look for it.
bool find_place(Ctx* ctx) noexcept {
    const http::Reason reason = ctx->reason;
    const bool found = read_key(ctx) == http::Reason::kNone && find_object(ctx) != Found::kFailed;
    ctx->zone->store.unpin(&ctx->pin);
    ctx->reason = reason;
    return found;
}

// Nothing that was purged since the request began, up to copy->settled, would have taken it.
bool settle(const Ctx* ctx, PostCopy* copy) noexcept {
    Zone* zone = ctx->zone;
    Fill* fill = copy->fill;
    if (zone->priors != 0 && is_behind_on_globs(*zone)) {
        import_globs(zone);
    }
    list_under_way(zone, &fill->listed, ctx->request->pool, fill->host, fill->uri, {});
    if (unheard(zone, fill->listed.selector) != ctx->post_unheard) {
        return false;
    }
    cache::SelectorList selectors(arena_of(ctx->request->pool));
    cache::Url url;
    const bool known = collect_selectors(fill, copy->origin.response.fields, {}, &selectors) == http::Reason::kNone
                       && cache::split_url(arena_of(ctx->request->pool), ctx->host, ctx->uri, &url);
    copy->settled = known ? zone->store.advance() : 0;
    if (copy->settled == 0) {
        return false;
    }
    const UserArea* area = user_area(zone);
    const cache::Judged judged{url.host, url.path, url.args, selectors.data(), selectors.size()};
    return zone->store.validity_of(judged.selector, judged.selectors, ctx->post_birth) == shm::Validity::kValid
           && (area == nullptr || cache::judge_globs(area->globs, judged, ctx->post_birth) == cache::GlobAnswer::kNone);
}

Fill* make_fill(Ctx* ctx) noexcept {
    Fill* fill = fill_within(ctx);
    if (fill != nullptr) {
        fill->phase = FillPhase::kDone;   // until the copy begins
        fill->started_sec = now_sec() - (wall_sec() - ctx->request->start_sec);
    }
    return fill;
}

}  // namespace

void expect_post(Ctx* ctx) noexcept {
    if (may_replace(ctx)) {
        ctx->post_birth = ctx->zone->store.birth_stamp();
        ctx->post_unheard = unheard(ctx->zone, selector_of(ctx));
    }
}

void prepare_post_copy(Ctx* ctx, const http::Target& target, PostCopy* copy) noexcept {
    *copy = {};
    if (ctx->post_birth == 0 || ctx->direct != nullptr || ctx->request->upstream == nullptr
        || ctx->request->headers_out.status != NGX_HTTP_OK || !find_place(ctx)) {
        return;
    }
    Fill* fill = make_fill(ctx);
    if (fill == nullptr || !read_origin(fill, &copy->origin) || !copy->origin.from_upstream
        || !http::post_answers_get(target, copy->origin.response, copy->origin.freshness) || !is_storable(ctx, copy->origin)) {
        return;
    }
    copy->fill = fill;
    if (!settle(ctx, copy)) {
        copy->fill = nullptr;
    }
}

void begin_post_copy(Ctx* ctx, PostCopy* copy, uint64_t seq) noexcept {
    // Somebody else's purge in between, and nobody knows of what.
    if (copy->fill == nullptr || seq != copy->settled + 1) {
        return;
    }
    copy->fill->birth = seq;
    if (begin_copying(copy->fill, copy->origin) == http::Reason::kNone) {
        carry_within(ctx, copy->fill);
    }
}

}  // namespace slab_cache::ngx
