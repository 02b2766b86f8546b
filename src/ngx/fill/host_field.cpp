#include "ngx/glue/ngx.h"

#include "ngx/fill/host_field.h"

#include "ngx/fill/clone.h"

namespace slab_cache::ngx {

bool complete_host_field(ngx_http_request_t* r) noexcept {
    ngx_http_request_t* main = r->main;
    const Bytes authority = authority_beside_fields(main);
    if (!authority.empty()) {
        if (!add_request_header(main, "Host", "host", authority)) {
            return false;
        }
        forget_variable(main, "http_host");
    }
    // A subrequest has a copy of the list's head, made before.
    if (r->headers_in.host == nullptr && r->headers_in.headers.part.elts == main->headers_in.headers.part.elts) {
        r->headers_in.headers = main->headers_in.headers;
        r->headers_in.host = main->headers_in.host;
    }
    return true;
}

}  // namespace slab_cache::ngx
