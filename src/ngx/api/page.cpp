#include "ngx/glue/ngx.h"

#include "ngx/api/page.h"

#include "ngx/api/api.h"
#include "ngx/glue/reply.h"

namespace slab_cache::ngx {
namespace {

#include "ngx/api/admin_page.inc"

}  // namespace

ngx_int_t send_page(Call* call) noexcept {
    ngx_http_request_t* r = call->request;
    if (!add_answer_header(r, "Content-Security-Policy", kPagePolicy) ||
        !add_answer_header(r, "Referrer-Policy", "no-referrer") || !add_answer_header(r, "X-Frame-Options", "DENY")) {
        return NGX_ERROR;
    }
    return send_reply(r, NGX_HTTP_OK, "text/html; charset=utf-8", {kPage, sizeof(kPage) - 1});
}

}  // namespace slab_cache::ngx
