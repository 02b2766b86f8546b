#include "ngx/glue/ngx.h"

#include "ngx/fill/post_copy.h"

#include "http/storable.h"
#include "ngx/fill/store_object.h"
#include "ngx/request/accounting.h"
#include "ngx/request/cache_key.h"
#include "ngx/request/find_object.h"
#include "ngx/request/identity.h"

namespace slab_cache::ngx {

struct PostForGet {
    Fill fill;               // as of a GET; asks nobody
    http::TargetUri target;  // of the POST
};

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

void plan_get(Ctx* ctx, Fill* post) noexcept {
    ngx_http_request_t* r = ctx->request;
    ngx_pool_t* pool = post->request->pool;
    if (!ctx->conf->post_fills_get || r->method != NGX_HTTP_POST || r != r->main || ctx->inner_differs) {
        return;
    }
    Ctx get;
    auto* plan = pool_new<PostForGet>(pool);
    Bytes authority;
    Bytes path;
    if (plan == nullptr || !key_of_get(ctx, &get) || !pool_copy(pool, get.key, &plan->fill.key) ||
        !pool_copy(pool, r->headers_in.host != nullptr ? view(r->headers_in.host->value) : ctx->host, &authority) ||
        !pool_copy(pool, view(r->unparsed_uri), &path)) {
        return;
    }
    plan->fill.variant_key = plan->fill.key;
    plan->fill.primary = get.primary;
    plan->target = {is_https(r) ? Bytes("https") : Bytes("http"), authority, path};
    post->for_get = plan;
}

void begin_for_get(Fill* post, const OriginResponse& origin) noexcept {
    PostForGet* plan = post->for_get;
    if (plan == nullptr || !http::post_answers_get(plan->target, origin.response, origin.freshness)) {
        return;
    }
    Fill& get = plan->fill;
    get.request = post->request;
    get.connection = post->connection;
    get.conf = post->conf;
    get.zone = post->zone;
    get.host = post->host;
    get.uri = post->uri;
    get.identity = kExplicitIdentity;
    get.digest = get.primary;
    get.birth = post->birth;
    get.started_sec = post->started_sec;
    get.started_ms = post->started_ms;
    get.expected = post->expected;
    set_phase(&get, FillPhase::kStoring);
    http::Reason reason = http::Reason::kNone;
    if (begin_object(&get, origin, &reason) != shm::Status::kOk) {
        end_for_get(post);
    }
}

void copy_for_get(Fill* post, const ngx_chain_t* in) noexcept {
    for (; in != nullptr && post->for_get != nullptr && post->for_get->fill.phase == FillPhase::kStoring;
         in = in->next) {
        Fill& get = post->for_get->fill;
        const ngx_buf_t* b = in->buf;
        const Bytes bytes{reinterpret_cast<const char*>(b->pos), static_cast<size_t>(b->last - b->pos)};
        get.received += bytes.size();
        if (b->in_file ||
            (!bytes.empty() && get.zone->store.append(&get.writer, bytes, now_sec()) != shm::Status::kOk)) {
            end_for_get(post);
            return;
        }
        if (b->last_buf) {
            const bool whole = get.expected < 0 || get.received == static_cast<uint64_t>(get.expected);
            get.listed = post->listed;  // the URL is the same
            if (whole && publish(&get) == shm::Status::kOk) {
                count(get.zone, Counter::kFillsStored);
            }
            end_for_get(post);
        }
    }
}

void end_for_get(Fill* post) noexcept {
    if (post->for_get != nullptr && post->for_get->fill.phase == FillPhase::kStoring) {
        post->zone->store.abort(&post->for_get->fill.writer);
        set_phase(&post->for_get->fill, FillPhase::kDone);
    }
}

}  // namespace slab_cache::ngx
