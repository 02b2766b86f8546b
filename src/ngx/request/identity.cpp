#include "ngx/glue/ngx.h"

#include "ngx/request/identity.h"

#include "cache/key.h"
#include "ngx/conf/conf.h"
#include "ngx/conf/credentials.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

// Lives on its own pool, so that a request's identity costs its own bytes only.
struct Parts {
    const uint8_t* secret;  // nullptr: as other machines do it
    uint64_t value;

    void add(Bytes part) noexcept {
        value = secret != nullptr ? cache::keyed_hash(part, value, secret) : cache::stable_hash(part, value);
    }
};

bool add_root(ngx_http_request_t* r, Parts* parts) noexcept {
    ngx_http_core_loc_conf_t* clcf = core_loc_conf(r);
    if (clcf->root_lengths == nullptr) {
        return true;
    }
    ngx_str_t root;
    if (ngx_http_script_run(r, &root, clcf->root_lengths->elts, 0, clcf->root_values->elts) == nullptr) {
        return false;
    }
    parts->add(view(root));
    return true;
}

// What the answer hangs on beside the location.
bool add_inputs(const Ctx* ctx, Parts* parts) noexcept {
    const LocConf* conf = ctx->conf;
    if (ctx->url.differs_inside()) {
        parts->add(ctx->url.inner_path);
        parts->add(ctx->url.inner_args);
    }
    auto* input = conf->inputs != nullptr ? static_cast<ngx_http_complex_value_t*>(conf->inputs->elts) : nullptr;
    for (ngx_uint_t i = 0; input != nullptr && i < conf->inputs->nelts; i++) {
        ngx_str_t value;
        if (ngx_http_complex_value(ctx->request, &input[i], &value) != NGX_OK) {
            return false;
        }
        parts->add(view(value));
    }
    return add_root(ctx->request, parts);
}

bool has_foreign_context(const ngx_http_request_t* r, const MainConf* mcf) noexcept {
    return mcf->lua_index >= 0 && r->ctx[mcf->lua_index] != nullptr;
}

}  // namespace

bool read_identity(Ctx* ctx) noexcept {
    const LocConf* conf = ctx->conf;
    ngx_http_request_t* r = ctx->request;
    ctx->is_plain = false;
    if (conf->key != nullptr) {
        ctx->identity = is_head_apart(r, conf)       ? kHeadIdentity
                        : r->method == NGX_HTTP_POST ? kPostIdentity
                        : ctx->part.is_asked()       ? kSliceIdentity
                                                     : kExplicitIdentity;
        return true;
    }
    ctx->is_plain = !ctx->url.differs_inside() && !r->internal && !ctx->part.is_asked();
    ctx->identity = conf->identity;
    if (!conf->identity_varies && !ctx->url.differs_inside()) {
        return true;
    }
    Parts parts{ctx->zone->store.secret(), conf->identity};
    if (!add_inputs(ctx, &parts)) {
        return false;
    }
    ctx->identity = parts.value < kReservedIdentities ? parts.value + kReservedIdentities : parts.value;
    return true;
}

bool read_shared_identity(const Ctx* ctx, uint64_t* identity) noexcept {
    const LocConf* conf = ctx->conf;
    Parts parts{nullptr, conf->shared_identity};
    const bool ok = (!conf->identity_varies && !ctx->url.differs_inside()) || add_inputs(ctx, &parts);
    *identity = parts.value;
    return ok;
}

bool is_of(const Ctx* ctx, const shm::Pin& pin) noexcept {
#ifdef SLAB_TWIN_KEY  // a broken twin, for tests: the URL alone decides
    return true;
#endif
    uint32_t n = 0;
    const uint64_t* selector = shm::Store::selectors(pin, &n);
    return n != 0 && (selector[0] == ctx->identity || (selector[0] == kPushedIdentity && ctx->is_plain));
}

bool is_one_piece(const Ctx* ctx) noexcept {
    const ngx_http_request_t* r = ctx->request;
    return r->content_handler != nullptr ? r->content_handler == ctx->conf->pass_handler
                                         : !main_conf(ctx->request)->has_foreign_content;
}

bool is_head_alone(const Ctx* ctx) noexcept {
    const LocConf* conf = ctx->conf;
    return ctx->request->method == NGX_HTTP_HEAD &&
           ((conf->convert_head == 0 && !conf->head_apart) || has_unkeyed_credentials(ctx->request));
}

bool is_clonable(const Ctx* ctx) noexcept {
    const ngx_http_request_t* r = ctx->request;
    if (is_head_alone(ctx)) {
        return false;
    }
    const MainConf* mcf = main_conf(ctx->request);
    if (!is_one_piece(ctx)) {
        return false;
    }
    return !mcf->has_foreign_balancer || !has_foreign_context(r, mcf);
}

}  // namespace slab_cache::ngx
