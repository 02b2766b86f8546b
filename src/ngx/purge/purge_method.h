// ngx/purge/purge_method.h — PURGE <url> in a cached location (slab_cache_purge).
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

// Content handler. The URL with all its variants; a trailing "/*" means the prefix; Surrogate-Key, Cache-Tag, xkey and
// xkey-purge name tags; Fastly-Soft-Purge: 1 or xkey-softpurge make it soft. 403 for addresses not
// listed, 413 for more than 1024 tags, 400 for a pattern that is too long to be remembered.
ngx_int_t purge_handler(ngx_http_request_t* r) noexcept;

// Is this request one for purge_handler()? PURGE also means PURGEKEYS, which names tags only.
bool is_purge(ngx_http_request_t* r, const PurgeConf* list) noexcept;

bool address_listed(ngx_http_request_t* r, const Cidrs& from) noexcept;

}  // namespace slab_cache::ngx
