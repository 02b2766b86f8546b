// ngx/api_purge.h — POST …/purge: {"urls":[],"prefixes":[],"hosts":[],"tags":[],"all":false,"mode":"hard"|"soft"}, and
// Cloudflare's "files" and "purge_everything". Unknown fields and wrong types are errors that say what was wrong where.
#pragma once

#include "ngx/ngx.h"

#include "ngx/selection.h"

namespace slab_cache::ngx {

struct Call;

// Answers {"seq":n,"accepted":n}.
ngx_int_t purge_by_json(Call* call) noexcept;

// What a body names. False: `problem` (of kProblemBytes) says what is wrong with it.
inline constexpr size_t kProblemBytes = 256;
bool read_purge(Call* call, Selection* to, char* problem) noexcept;

}  // namespace slab_cache::ngx
