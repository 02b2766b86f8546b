#include "ngx/glue/ngx.h"

#include "ngx/api/purge_call.h"

#include "ngx/api/api.h"
#include "ngx/glue/reply.h"

namespace slab_cache::ngx {

bool read_purge(Call* call, Selection* to, cache::Problem* problem) noexcept {
    begin_selection(to, call->request, call->zone);
    return cache::read_purge_json(call->body, to, problem);
}

ngx_int_t purge_by_json(Call* call) noexcept {
    Selection selection;
    cache::Problem problem;
    return read_purge(call, &selection, &problem)
               ? purge_and_answer(&selection)
               : send_problem(call->request, NGX_HTTP_BAD_REQUEST, "invalid purge request", problem.view());
}

}  // namespace slab_cache::ngx
