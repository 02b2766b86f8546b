// ngx/conf/location_identity.h — a location's part of an answer's identity (identity.h): its server and name, the words of
// proxy_pass and its kind (parts of a location are told apart by their order, which an edit changes), and which
// variables that the URL does not decide say who answers.
//
// Stable      over reload and restart, as long as server and location are written as they are.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

inline constexpr uint64_t kExplicitIdentity = 1;
inline constexpr uint64_t kPushedIdentity = 2;
inline constexpr uint64_t kHeadIdentity = 3;
inline constexpr uint64_t kPostIdentity = 4;
inline constexpr uint64_t kSliceIdentity = 5;
inline constexpr uint64_t kReservedIdentities = 6;  // no location's is below

// Behind the setter of proxy_pass and its kind: who answers this location, and where the words have variables that the
// URL does not decide, what they come to for a request. False when memory ran out.
bool note_pass(ngx_conf_t* cf) noexcept;
// Behind the setter of memcached_pass and memc_pass: what they ask for is in variables of their own.
bool note_asked_by_variable(ngx_conf_t* cf) noexcept;
// Behind the setter of auth_request_set: its variable says on whose behalf an origin is asked.
bool note_told_by_door(ngx_conf_t* cf) noexcept;
// Before the setter of map: what is made of such a variable says so, too.
bool note_map(ngx_conf_t* cf) noexcept;
// The same of directives that use a request's values on its answer (proxy_redirect), or say which method, body or
// script is asked for.
bool note_inputs(ngx_conf_t* cf) noexcept;
// Does a text name a variable that the client's URL and the location do not decide?
bool says_more_than_url(Bytes text) noexcept;
// At merge: LocConf::identity, and what an `if` or limit_except block has from its location.
bool merge_identity(ngx_conf_t* cf, LocConf* prev, LocConf* conf) noexcept;

}  // namespace slab_cache::ngx
