// ngx/api/api.h — slab_cache_api: the admin location.
//
// What        routes a request to its answer: the page, metrics, zones, purge, entry, entries, top, and what Fastly's and
//             Cloudflare's clients call. JSON by jansson, Cache-Control: no-store, errors as application/problem+json.
// Safety      fails closed: 403 unless the request is signed, or an access rule of the location let it in, or the peer is
//             loopback or a unix socket. Writing needs write=on, and is refused to pages of other origins. GET and HEAD
//             change nothing. There are no CORS answers.
// Ownership   a Call lives on its request's pool.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

struct Call;
using Answer = ngx_int_t (*)(Call* call) noexcept;

struct Call {
    ngx_http_request_t* request;
    const LocConf* conf;
    Zone* zone;      // nullptr where the resource has none
    Bytes rest;      // of the path, behind the resource's name
    Bytes body;      // where the method has one
    uint64_t birth;  // the purge counter when the request began
    size_t body_limit;
    bool is_unproven;  // signed, and the signature covers a body that is still to come
    Answer answer;
};

ngx_int_t api_handler(ngx_http_request_t* r) noexcept;

// True when the peer is loopback or a unix socket, or some access rule (allow, auth_basic, auth_request …) said yes.
bool is_trusted(ngx_http_request_t* r) noexcept;

}  // namespace slab_cache::ngx
