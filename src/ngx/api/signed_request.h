// ngx/api/signed_request.h — slab_cache_api secret=file: signed requests (cache/token.h) in place of an access rule.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/token.h"
#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

// Reads the file when the configuration is read. NGX_CONF_OK, or NGX_CONF_ERROR (logged).
char* read_api_secret(ngx_conf_t* cf, ngx_str_t path, ngx_str_t* secret) noexcept;

// It is signed (asker.h), and that cannot be judged before the body is there.
bool signature_covers_body(ngx_http_request_t* r, const LocConf* conf) noexcept;
cache::TokenVerdict proof_of(ngx_http_request_t* r, const LocConf* conf, Bytes body) noexcept;
// 401, with what was wrong. That a token expired is told only to who could sign it (cache/token.cpp).
ngx_int_t send_unproven(ngx_http_request_t* r, cache::TokenVerdict verdict) noexcept;

}  // namespace slab_cache::ngx
