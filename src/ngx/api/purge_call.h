// ngx/api/purge_call.h — POST …/purge, with a body as cache/purge_json.h says.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/purge_json.h"
#include "ngx/purge/purge_batch_run.h"

namespace slab_cache::ngx {

struct Call;

// Answers as purge_and_answer() does.
ngx_int_t purge_by_json(Call* call) noexcept;

// What the call's body names.
bool read_purge(Call* call, Selection* to, cache::Problem* problem) noexcept;

}  // namespace slab_cache::ngx
