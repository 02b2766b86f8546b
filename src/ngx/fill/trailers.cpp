#include "ngx/glue/ngx.h"

#include "ngx/fill/trailers.h"

#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

void hand_on_trailers(CloneFill* fill) noexcept {
    ngx_list_t& from = fill->request->headers_out.trailers;
    if (fill->leader == nullptr || from.part.nelts == 0) {
        return;
    }
    ngx_http_request_t* r = fill->leader->request;
    if (r != r->main || r->headers_in.range != nullptr) {  // of the whole alone
        return;
    }
    each_header(from, [&](ngx_table_elt_t& line) {
        Bytes name;
        Bytes lowcase;
        Bytes value;
        const bool has_memory = pool_copy(r->pool, view(line.key), &name) &&
                                pool_copy(r->pool, view(line.key), &lowcase) &&
                                pool_copy(r->pool, view(line.value), &value);
        ngx_table_elt_t* to = has_memory ? push_header(&r->headers_out.trailers) : nullptr;
        if (to != nullptr) {
            ngx_strlow(mutable_data(lowcase), mutable_data(lowcase), lowcase.size());
            to->hash = line.hash;
            to->key = to_str(name);
            to->lowcase_key = mutable_data(lowcase);
            to->value = to_str(value);
        }
        return to != nullptr;
    });
    r->expect_trailers = 1;  // where its header is still to be sent: there is room for them only without a length
}

}  // namespace slab_cache::ngx
