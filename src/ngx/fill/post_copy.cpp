#include "ngx/glue/ngx.h"

#include "ngx/fill/post_copy.h"

#include "ngx/fill/clone_fill.h"
#include "ngx/fill/store_object.h"
#include "ngx/request/accounting.h"
#include "ngx/request/cache_key.h"
#include "ngx/request/find_object.h"
#include "ngx/request/identity.h"

namespace slab_cache::ngx {

namespace {

// $request_method and $request_body are worked out anew.
void forget_variables(ngx_http_request_t* r) noexcept {
    const ngx_array_t& all = core_main_conf(r)->variables;
    auto* v = static_cast<ngx_http_variable_t*>(all.elts);
    for (ngx_uint_t i = 0; i < all.nelts; i++) {
        if (view(v[i].name) == "request_body" || view(v[i].name) == "request_method") {
            r->variables[i].valid = 0;
            r->variables[i].not_found = 0;
        }
    }
}

// The client's request, looked at as a GET for as long as this lives.
class AsGet {
public:
    explicit AsGet(ngx_http_request_t* r) noexcept
        : r_(r), method_(r->method), name_(r->method_name), body_(r->request_body) {
        r->method = NGX_HTTP_GET;
        ngx_str_set(&r->method_name, "GET");
        r->request_body = nullptr;
        forget_variables(r);
    }
    ~AsGet() {
        r_->method = method_;
        r_->method_name = name_;
        r_->request_body = body_;
        forget_variables(r_);
    }
    AsGet(const AsGet&) = delete;
    AsGet& operator=(const AsGet&) = delete;

private:
    ngx_http_request_t* r_;
    ngx_uint_t method_;
    ngx_str_t name_;
    ngx_http_request_body_t* body_;
};

// The key of the slot in which a GET has, or would have, its object.
bool key_of_get(const Ctx* ctx, Ctx* get) noexcept {
    *get = *ctx;
    get->pin = {};
    get->stale = {};
    const AsGet as_get(ctx->request);
    return read_key(get) == http::Reason::kNone && find_place_beside(get, ctx->key);
}

}  // namespace

PostCopy* plan_post_copy(Ctx* ctx, ngx_pool_t* pool) noexcept {
    ngx_http_request_t* r = ctx->request;
    if (!ctx->conf->post_fills_get || r->method != NGX_HTTP_POST || r != r->main || ctx->url.differs_inside()) {
        return nullptr;
    }
    Ctx get;
    auto* copy = pool_new<PostCopy>(pool);
    Bytes authority;
    Bytes path;
    if (copy == nullptr || !key_of_get(ctx, &get) || !pool_copy(pool, get.key, &copy->key) ||
        !pool_copy(pool, r->headers_in.host != nullptr ? view(r->headers_in.host->value) : ctx->url.host, &authority) ||
        !pool_copy(pool, view(r->unparsed_uri), &path)) {
        return nullptr;
    }
    copy->primary = get.primary;
    copy->target = {is_https(r) ? Bytes("https") : Bytes("http"), authority, path};
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
    set_phase(copy, PostCopyPhase::kCopying);
    http::Reason reason = http::Reason::kNone;
    if (begin_object(copy, origin, &reason) != shm::Status::kOk) {
        end_post_copy(copy);
    }
}

void copy_post(PostCopy* copy, Listed listed, const ngx_chain_t* in) noexcept {
    for (; in != nullptr && copy->phase == PostCopyPhase::kCopying; in = in->next) {
        const ngx_buf_t* b = in->buf;
        const Bytes bytes{reinterpret_cast<const char*>(b->pos), static_cast<size_t>(b->last - b->pos)};
        copy->received += bytes.size();
        if (b->in_file ||
            (!bytes.empty() && copy->zone->store.append(&copy->writer, bytes, now_sec()) != shm::Status::kOk)) {
            end_post_copy(copy);
            return;
        }
        if (b->last_buf) {
            const bool whole = copy->expected < 0 || copy->received == static_cast<uint64_t>(copy->expected);
            if (whole && publish(copy, &listed) == shm::Status::kOk) {
                count(copy->zone, Counter::kFillsStored);
            }
            end_post_copy(copy);
        }
    }
}

void end_post_copy(PostCopy* copy) noexcept {
    if (copy->phase == PostCopyPhase::kCopying) {
        copy->zone->store.abort(&copy->writer);
        set_phase(copy, PostCopyPhase::kOver);
    }
}

}  // namespace slab_cache::ngx
