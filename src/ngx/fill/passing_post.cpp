#include "ngx/glue/ngx.h"

#include "ngx/fill/passing_post.h"

#include "cache/selector_list.h"
#include "cache/url.h"
#include "ngx/conf/credentials.h"
#include "ngx/conf/directives.h"
#include "ngx/fill/as_get.h"
#include "ngx/fill/direct_fill.h"
#include "ngx/fill/object_selectors.h"
#include "ngx/request/cache_key.h"
#include "ngx/request/identity.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/validity.h"

namespace slab_cache::ngx {
namespace {

bool has_unkeyed_cookie(const Ctx* ctx) noexcept {
    return has_cookie(ctx->request->headers_in) && !names_variable(ctx->conf->key, "http_cookie");
}

// Its answer is the origin's to a URL, and not to this client alone.
bool is_like_others(const Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    return r->method == NGX_HTTP_POST && ctx->conf->post_fills_get && !r->internal && !ctx->url.differs_inside() &&
           is_answer_its_own(ctx) && is_one_piece(ctx) && !has_unkeyed_cookie(ctx) && !has_unkeyed_credentials(r);
}

bool is_ruled_out(ngx_http_request_t* r, const LocConf* conf) noexcept {
    return ngx_http_test_predicates(r, conf->bypass) != NGX_OK || ngx_http_test_predicates(r, conf->no_cache) != NGX_OK;
}

// By rules that may look at the method: of the POST, as of the GET.
bool is_ruled_out_as_either(ngx_http_request_t* r, const LocConf* conf) noexcept {
    if (is_ruled_out(r, conf)) {
        return true;
    }
    const AsGet as_get(r);
    return is_ruled_out(r, conf);
}

bool is_storable(const Ctx* ctx, const OriginResponse& origin) noexcept {
    ngx_http_request_t* r = ctx->request;
    http::Request asked = request_facts(r);
    asked.method = http::Method::kGet;
    asked.has_body = false;
    return origin.kind == AnswerKind::kBody && origin.from_upstream && r->http_version >= NGX_HTTP_VERSION_10 &&
           http::post_answers_get(target_of(r), origin.response, origin.freshness) &&
           http::storable(asked, origin.response, origin.freshness, ctx->conf->policy) &&
           !is_ruled_out_as_either(r, ctx->conf);
}

// As its GET would: it counts as one.
bool is_asked_for_enough(const Ctx& get) noexcept {
    return get.conf->min_uses <= 1 ||
           get.zone->store.bump_uses(with_identity(get.digest, get.identity)) >= get.conf->min_uses;
}

// Who the object will be. `birth` and `asked` stay: when the origin was asked.
bool name_object(Ctx* ctx, PassingPost* post) noexcept {
    Ctx get;
    if (!key_of_get(ctx, &get) || !is_asked_for_enough(get)) {
        return false;
    }
    post->request = ctx->request;
    post->conf = ctx->conf;
    post->zone = ctx->zone;
    post->url = ctx->url;
    post->identity = get.identity;
    post->key = get.key;  // on the same pool
    post->primary = get.primary;
    post->digest = get.primary;
    post->expected = ctx->request->headers_out.content_length_n;
    return true;
}

// Nothing that was purged, or went unheard, since the origin was asked concerns the object: what was pushed is seen when it is
// published. Two zones of one name hear of each other late.
bool is_untouched(PassingPost* post, const OriginResponse& origin) noexcept {
    Zone* zone = post->zone;
    ngx_pool_t* pool = post->request->pool;
    cache::SelectorList selectors(arena_of(pool));
    if (collect_selectors(post, origin.response.fields, {}, &selectors) != http::Reason::kNone ||
        zone->store.has_open_prior() || has_successor(zone)) {
        return false;
    }
    list_under_way(zone, &post->listed, pool, post->url.host, post->url.uri, {});
    const uint64_t seen = zone->store.purge_seq();
    // After the URL was listed, so that what comes from now on writes a record.
    if (unheard_count(zone, post->listed.selector) != post->unheard ||
        !is_valid_since(zone, {pool, post->url.host, post->url.uri}, selectors, post->birth)) {
        return false;
    }
    post->birth = seen;
    return true;
}

void take_body(ngx_http_request_t*, Ctx* ctx, ngx_chain_t* in) noexcept { copy_post(ctx->passing_post, in); }

}  // namespace

void note_passing_post(Ctx* ctx) noexcept {
    if (!is_like_others(ctx)) {
        return;
    }
    ngx_pool_t* pool = ctx->request->pool;
    auto* post = pool_new<PassingPost>(pool);
    cache::Url url;
    if (post == nullptr || !cache::split_url(arena_of(pool), ctx->url.host, ctx->url.uri, &url)) {
        return;
    }
    post->started_sec = now_sec();
    post->started_ms = now_ms();
    post->listed.selector = cache::url_selector(url, ctx->zone->store.secret());
    post->unheard = unheard_count(ctx->zone, post->listed.selector);
    post->asked = ctx->zone->store.birth_stamp();
    post->birth = post->asked;
    ctx->passing_post = post;
}

bool judge_passing_post(Ctx* ctx, OriginResponse* origin) noexcept {
    PassingPost* post = ctx->passing_post;
    const bool may = post->phase == PostCopyPhase::kPlanned && ctx->request->headers_out.status == NGX_HTTP_OK &&
                     read_passing(ctx->request, ctx->conf, post->started_sec, origin) && is_storable(ctx, *origin) &&
                     name_object(ctx, post) && is_untouched(post, *origin);
    if (!may) {
        end_post_copy(post);  // at a second header: another answer takes the place of the one that is copied
        ctx->passing_post = nullptr;
        ctx->take_body = nullptr;
    }
    return may;
}

void copy_passing_post(Ctx* ctx, const OriginResponse& origin, uint64_t birth) noexcept {
    if (birth == 0) {
        ctx->passing_post = nullptr;
        return;
    }
    ctx->passing_post->birth = birth;
    ctx->take_body = take_body;
    ctx->leave_fills = leave_fills;
    start_post_copy(ctx->passing_post, origin);
}

}  // namespace slab_cache::ngx
