#include "ngx/glue/ngx.h"

#include "ngx/purge/observe_response.h"

#include "cache/stored_head.h"
#include "cache/url.h"
#include "http/invalidate.h"
#include "ngx/fleet/purge_zone.h"
#include "http/tags.h"
#include "http/validator.h"
#include "ngx/request/accounting.h"
#include "ngx/conf/credentials.h"
#include "ngx/request/find_object.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/hit_for_miss.h"
#include "ngx/fill/origin_response.h"
#include "ngx/fill/passing_post.h"
#include "ngx/purge/purge_method.h"
#include "ngx/request/cache_key.h"
#include "ngx/zone/whole_head.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kAtOnce = 64;

constexpr uint32_t kMaxTold = 8;  // URLs, and groups, that other machines hear of

// What an answer invalidates, purged in as many turns as it takes: none may be left out.
class Purge {
public:
    // `watched`: a selector of which it is to be known whether it went; 0: none.
    explicit Purge(Zone* zone, uint64_t watched = 0) noexcept : zone_(zone), watched_(watched) {}

    void add(uint64_t s) noexcept {
        has_watched_ = has_watched_ || s == watched_;
        if (count_ == kAtOnce) {
            run();
        }
        selector_[count_++] = s;
    }
    void run() noexcept {
        if (count_ == 0) {
            return;
        }
        seq_ = zone_->store.invalidate(selector_, count_, shm::PurgeMode::kHard, now_sec());
        if (seq_ == 0) {                                               // a purger is stopped
            (void) zone_->store.purge_all_now(shm::PurgeMode::kHard);  // nobody would ask again
        }
        count(zone_, Counter::kPurges);
        moves_++;
        count_ = 0;
    }
    void note_told(uint64_t seq) noexcept { moves_ += seq != 0 ? 1 : 0; }

    // The counter after it, if what is watched went and nothing else moved the counter from `before`; else 0.
    uint64_t alone_since(uint64_t before) const noexcept { return has_watched_ && seq_ == before + moves_ ? seq_ : 0; }

    uint64_t last = 0;
    cache::Url url[kMaxTold];
    uint32_t urls = 0;
    cache::Group group[kMaxTold];
    uint32_t groups = 0;

private:
    Zone* zone_;
    uint64_t watched_;
    bool has_watched_ = false;
    uint64_t selector_[kAtOnce];
    uint32_t count_ = 0;
    uint64_t seq_ = 0;    // of the last turn
    uint64_t moves_ = 0;  // of the counter
};

// What is stored nowhere, nor being fetched, needs no record.
void add_url(Ctx* ctx, const cache::Url& url, Purge* purge) noexcept {
    const uint64_t selector = cache::url_selector(url, ctx->zone->store.secret());
    if (selector == purge->last) {  // the target, as it is and as it is keyed
        return;
    }
    purge->last = selector;
    if (purge->urls < kMaxTold) {  // whether it is stored here or not: it may be elsewhere
        purge->url[purge->urls++] = url;
    }
    if (!may_be_stored(ctx->zone, selector)) {
        add_unheard(ctx->zone, selector);
        if (!may_be_stored(ctx->zone, selector)) {  // after it: who lists looks the other way round
            return;
        }
    }
    purge->add(selector);
}

void collect_urls(Ctx* ctx, const http::Fields& fields, http::Named named, Purge* purge) noexcept {
    ngx_http_request_t* r = ctx->request;
    const http::TargetUri target = target_of(r);
    size_t longest = 256;
    for (const http::Field& f : fields) {
        longest = f.value.size() > longest ? f.value.size() : longest;
    }
    const size_t room = 4 * longest + 2 * r->unparsed_uri.len;
    auto* buffer = static_cast<char*>(ngx_pnalloc(r->pool, room));
    if (buffer == nullptr || target.path.empty() || target.path.front() != '/') {
        return;
    }
    const http::Invalidation uris =
        http::invalidation_of(http::parse_method(view(r->method_name)), static_cast<uint16_t>(r->headers_out.status),
                              target, fields, named, buffer, room);
    for (uint32_t i = 0; i < uris.count; i++) {
        cache::Url url;
        if (cache::split_url(arena_of(r->pool), ctx->url.host, uris.paths[i], &url)) {
            add_url(ctx, url, purge);
        }
    }
    // The target as this location keys it, should arguments be dropped from the key.
    cache::Url url;
    if (uris.count != 0 && cache::split_url(arena_of(r->pool), ctx->url.host, ctx->url.uri, &url)) {
        add_url(ctx, url, purge);
    }
}

void collect_groups(Ctx* ctx, const http::Fields& fields, Purge* purge) noexcept {
    http::GroupReader groups(fields, http::kCacheGroupInvalidation);
    Bytes group;
    while (groups.next(&group)) {
        purge->add(cache::group_selector(ctx->url.host, group, ctx->zone->store.secret()));
        if (purge->groups < kMaxTold) {
            purge->group[purge->groups++] = {ctx->url.host, group};
        }
    }
}

void invalidate(Ctx* ctx, const LocConf* conf, Purge* purge) noexcept {
    ngx_http_request_t* r = ctx->request;
    ngx_http_upstream_t* u = r->upstream;
    const http::Fields fields =
        list_fields(r->pool, u != nullptr ? &u->headers_in.headers : &r->headers_out.headers, 0, nullptr);
    // Where POSTs are cached they are questions: one that went by must not take the answers to all others away.
    const bool is_question = r->method == NGX_HTTP_POST && (conf->policy.methods & http::kCachePost) != 0 &&
                             conf->key != nullptr && (conf->zone != nullptr || conf->zone_value != nullptr);
    if ((conf->invalidate & (kInvalidateUnsafe | kInvalidateLocation)) != 0 && !is_question) {
        collect_urls(ctx, fields,
                     (conf->invalidate & kInvalidateLocation) != 0 ? http::Named::kInvalidate : http::Named::kKeep,
                     purge);
    }
    const ngx_uint_t status = r->headers_out.status;
    if ((conf->invalidate & kInvalidateGroups) != 0 && status >= NGX_HTTP_OK && status < NGX_HTTP_BAD_REQUEST) {
        collect_groups(ctx, fields, purge);
    }
    purge->note_told(tell_invalidation(ctx->zone, r->pool, purge->url, purge->urls, purge->group, purge->groups));
    purge->run();
}

// In the zone that the request's own location caches in.
void invalidate_here(Ctx* ctx, const LocConf* conf) noexcept {
    OriginResponse origin;
    if (ctx->passing_post == nullptr || !judge_passing_post(ctx, &origin)) {
        Purge purge(ctx->zone);
        invalidate(ctx, conf, &purge);
        return;
    }
    const uint64_t before = ctx->passing_post->birth;
    Purge purge(ctx->zone, ctx->passing_post->listed.selector);
    invalidate(ctx, conf, &purge);
    copy_passing_post(ctx, origin, purge.alone_since(before));
}

// A HEAD that went to the origin shows whether the stored GET is out of date (RFC 9111 §4.3.5).
void compare_head(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    cache::StoredResponse stored;
    if (read_key(ctx) != http::Reason::kNone || find_object(ctx) != Found::kUnpurged) {
        return;
    }
    const http::Fields head = list_fields(
        r->pool, r->upstream != nullptr ? &r->upstream->headers_in.headers : &r->headers_out.headers, 0, nullptr);
    http::Field lines[2];
    size_t n = 0;
    bool differs = false;
    if (cache::decode_head(whole_head(r->pool, ctx->zone->store, ctx->pin), &stored) &&
        r->headers_out.status == stored.status) {
        if (!stored.etag.empty()) {
            lines[n++] = {"ETag", stored.etag};
        }
        if (!stored.last_modified.empty()) {
            lines[n++] = {"Last-Modified", stored.last_modified};
        }
        differs = http::head_differs({lines, n}, head, static_cast<uint64_t>(shm::Store::body_length(ctx->pin)));
    }
    ctx->zone->store.unpin(&ctx->pin);
    cache::Url url;
    if (differs && cache::split_url(arena_of(r->pool), ctx->url.host, ctx->url.uri, &url)) {
        const uint64_t selector = cache::url_selector(url, ctx->zone->store.secret());
        (void) ctx->zone->store.invalidate(&selector, 1, shm::PurgeMode::kSoft, now_sec());
    }
}

// Whatever zone an object of this URL lies in, and whichever location answers here: one without a zone, or with another.
void invalidate_elsewhere(ngx_http_request_t* r, const LocConf* conf, const Zone* own) noexcept {
    const MainConf* mcf = main_conf(r);
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        if (zones[i] == own || !usable(zones[i])) {
            continue;
        }
        Ctx ctx{};  // what collects needs no more of one
        ctx.request = r;
        ctx.zone = zones[i];
        ctx.url.host = host_of(r);
        if (canonical_uri(r, conf, &ctx.url.uri)) {
            Purge purge(zones[i]);
            invalidate(&ctx, conf, &purge);
        }
    }
}

bool is_unsafe_request(ngx_http_request_t* r, const LocConf* conf) noexcept {
    return (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0 && !conf->api &&
           http::is_unsafe(http::parse_method(view(r->method_name))) && !is_purge(r, conf->purge);  // done, or refused
}

}  // namespace

void observe_unsafe(ngx_http_request_t* r, const LocConf* conf) noexcept {
    if (!is_unsafe_request(r, conf)) {
        return;
    }
    Ctx* ctx = get_ctx(r);
    const bool is_own = ctx != nullptr && ctx->step == Step::kPass && usable(ctx->zone);
    if (is_own) {
        invalidate_here(ctx, conf);
    }
    if (r == r->main) {
        invalidate_elsewhere(r, conf, is_own ? ctx->zone : nullptr);
    }
}

void observe_response(ngx_http_request_t* r, const LocConf* conf) noexcept {
    Ctx* ctx = get_ctx(r);
    if (ctx == nullptr || ctx->step != Step::kPass || !usable(ctx->zone)) {
        return;
    }
    if (r == r->main) {
        count_passed_answer(ctx);
    }
    if (r->method == NGX_HTTP_HEAD && r == r->main && r->headers_out.status < NGX_HTTP_BAD_REQUEST &&
        !conf->head_apart && !has_unkeyed_credentials(r)) {
        compare_head(ctx);
    }
    // What the header alone cannot tell (size, tags, slab_no_cache) is left to the mark's short life.
    if (ctx->under_mark && http::mark_of(ctx->reason) != http::Mark::kByTime) {
        const http::Reason reason = judge_pass(r, conf);
        if (reason == http::Reason::kNone) {
            clear_uncacheable(ctx->zone, mark_digest(ctx->digest, ctx->identity, mark_kind(r)));
        } else {
            ctx->reason = reason;
        }
    }
}

}  // namespace slab_cache::ngx
