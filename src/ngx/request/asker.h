// ngx/request/asker.h — what a request that names other URLs says about itself (cache/url.h).
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/url.h"
#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

// The request carries what claims to be a token, and the location takes tokens.
bool is_signed(ngx_http_request_t* r, const LocConf* conf) noexcept;
cache::Asker asker_of(ngx_http_request_t* r) noexcept;

}  // namespace slab_cache::ngx
