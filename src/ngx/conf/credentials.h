// ngx/conf/credentials.h — answers to requests with Authorization, where slab_cache_authorization says `keyed`.
//
// What        A shared cache has no answers for requests with credentials unless these say so (RFC 9111 §3.5). Where the key
//             has the credentials in it, an answer is only found by who sends the same: there they count for nothing.
// Which       $http_authorization tells all of them apart. $remote_user is the name that a client gives: it does where
//             auth_basic has checked the password for every request, and for requests that give a name.
//             A variable that map made of them may be the same for two of them: it is not enough.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

// Behind the setter of auth_basic.
void note_auth_basic(ngx_conf_t* cf) noexcept;
// At merge, when the key and who checks passwords are known. False when the key has no credentials in it: told.
bool check_credentials(ngx_conf_t* cf, LocConf* conf) noexcept;
// The request has credentials that its key leaves out.
bool has_unkeyed_credentials(ngx_http_request_t* r) noexcept;

}  // namespace slab_cache::ngx
