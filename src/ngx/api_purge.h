// ngx/api_purge.h — POST …/purge: {"urls":[],"prefixes":[],"hosts":[],"tags":[],"all":false,"mode":"hard"|"soft"}, and
// Cloudflare's "files" and "purge_everything". Unknown fields and wrong types are errors that say what was wrong where.
#pragma once

#include "ngx/ngx.h"

namespace slab_cache::ngx {

struct Zone;

// Reads the body, then answers {"seq":n,"accepted":n}. Returns NGX_DONE while reading.
ngx_int_t purge_by_json(ngx_http_request_t* r, Zone* zone) noexcept;

}  // namespace slab_cache::ngx
