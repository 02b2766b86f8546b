#include "ngx/glue/ngx.h"

#include "ngx/fill/post_copy.h"

#include "ngx/fill/as_get.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/fill/copy_in_passing.h"
#include "ngx/fill/store_object.h"
#include "ngx/request/accounting.h"
#include "ngx/request/cache_key.h"
#include "ngx/request/find_object.h"
#include "ngx/request/identity.h"

namespace slab_cache::ngx {

bool key_of_get(const Ctx* ctx, Ctx* get) noexcept {
    *get = *ctx;
    get->pin = {};
    get->stale = {};
    http::Reason no = http::Reason::kNone;
    if (ctx->conf->key == nullptr) {
        no = read_key(get);  // its identity is of what answers, and that is the POST's
    } else {
        const AsGet as_get(ctx->request);
        no = read_key(get);
    }
    return no == http::Reason::kNone && find_place_beside(get, ctx->key);
}

void start_post_copy(PostCopy* copy, const OriginResponse& origin) noexcept {
    set_phase(copy, PostCopyPhase::kCopying);
    ngx_queue_insert_tail(&copy->zone->under_way, &copy->listed.link);
    http::Reason reason = http::Reason::kNone;
    if (begin_object(copy, origin, &reason) != shm::Status::kOk) {
        end_post_copy(copy);
    }
}

PostCopy* plan_post_copy(Ctx* ctx, ngx_pool_t* pool) noexcept {
    ngx_http_request_t* r = ctx->request;
    if (!ctx->conf->post_fills_get || r->method != NGX_HTTP_POST || r != r->main || ctx->url.differs_inside()) {
        return nullptr;
    }
    Ctx get;
    auto* copy = pool_new<PostCopy>(pool);
    const http::TargetUri target = target_of(r);
    Bytes authority;
    Bytes path;
    if (copy == nullptr || !key_of_get(ctx, &get) || !pool_copy(pool, get.key, &copy->key) ||
        !pool_copy(pool, target.authority, &authority) || !pool_copy(pool, target.path, &path)) {
        return nullptr;
    }
    copy->primary = get.primary;
    copy->target = {target.scheme, authority, path};
    return copy;
}

void begin_post_copy(PostCopy* copy, const CloneFill& post, const OriginResponse& origin) noexcept {
    if (!http::post_answers_get(copy->target, origin.response, origin.freshness)) {
        return;
    }
    copy->request = post.request;
    copy->conf = post.conf;
    copy->zone = post.zone;
    copy->url.host = post.url.host;
    copy->url.uri = post.url.uri;
    copy->identity = kExplicitIdentity;
    copy->digest = copy->primary;
    copy->birth = post.birth;
    copy->started_ms = post.started_ms;
    copy->expected = post.expected;
    copy->listed = post.listed;
    start_post_copy(copy, origin);
}

void copy_post(PostCopy* copy, const ngx_chain_t* in) noexcept {
    for (; in != nullptr && copy->phase == PostCopyPhase::kCopying; in = in->next) {
        if (append_buf(copy, in->buf) != http::Reason::kNone) {
            end_post_copy(copy);
        } else if (in->buf->last_buf) {
            const bool whole = copy->expected < 0 || copy->received == static_cast<uint64_t>(copy->expected);
            if (whole && publish(copy, &copy->listed) == shm::Status::kOk) {
                count(copy->zone, Counter::kFillsStored);
            }
            end_post_copy(copy);
        }
    }
}

void end_post_copy(PostCopy* copy) noexcept {
    if (copy->phase == PostCopyPhase::kCopying) {
        ngx_queue_remove(&copy->listed.link);
        copy->zone->store.abort(&copy->writer);
        set_phase(copy, PostCopyPhase::kOver);
    }
}

}  // namespace slab_cache::ngx
