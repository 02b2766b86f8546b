#include "ngx/ngx.h"

#include "ngx/tee.h"

#include "http/storable.h"
#include "ngx/copying.h"
#include "ngx/fill.h"
#include "ngx/listing.h"
#include "ngx/origin.h"
#include "ngx/request.h"

namespace slab_cache::ngx {
namespace {

// begin_object() wants a Fill: this one has no lease and no leader.
Fill* fill_of_post(ngx_http_request_t* r, Ctx* ctx) noexcept {
    Fill* fill = fill_within(ctx);
    if (fill != nullptr) {
        fill->birth = ctx->post_birth;
        fill->started_sec = now_sec() - (wall_sec() - r->start_sec);
    }
    return fill;
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
    // Listed only now: had each POST been, there would be nothing that strangers' POSTs do not list.
    list_fill(fill);
    if (unheard(ctx->zone, ctx->post_selector) == ctx->post_unheard && begin_copying(fill, origin) == http::Reason::kNone) {
        ctx->tee = fill;
    }
}

void tee_body(Ctx* ctx, ngx_chain_t* in) noexcept {
    copy_chain(ctx->tee, in);
    if (ctx->tee->phase != FillPhase::kStoring) {
        ctx->tee = nullptr;
    }
}

}  // namespace slab_cache::ngx
