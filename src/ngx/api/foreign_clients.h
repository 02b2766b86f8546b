// ngx/api/foreign_clients.h — purge requests as clients of Fastly and Cloudflare write them, below the prefix of slab_cache_api.
//
// What        POST …/service/{id}/purge/{key}, POST …/service/{id}/purge with a Surrogate-Key field or
//             {"surrogate_keys":[…]}, POST …/service/{id}/purge_all; Fastly-Soft-Purge: 1.
//             POST …/client/v4/zones/{id}/purge_cache, …/invalidate_cache with Cloudflare's JSON.
//             {id} is a zone's name; where there is one zone only, any id means it.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Call;

ngx_int_t purge_as_fastly(Call* call) noexcept;
ngx_int_t purge_all_as_fastly(Call* call) noexcept;
ngx_int_t purge_as_cloudflare(Call* call) noexcept;
ngx_int_t invalidate_as_cloudflare(Call* call) noexcept;

}  // namespace slab_cache::ngx
