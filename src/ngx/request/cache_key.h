// ngx/request/cache_key.h — a client's request as the cache sees it: its URL, its key, its facts for the rules.
//
// Threading   one worker's event loop.
// Ownership   results are on the request's pool, or views of the client's request.
// Cost        read_url() and read_key() once a request; neither touches the zone's shared part.
#pragma once

#include "ngx/glue/ngx.h"

#include "http/message.h"
#include "ngx/request/ctx.h"

namespace slab_cache::ngx {

// Fills ctx->url.host, uri, inner_…, …_args. False when memory ran out.
bool read_url(Ctx* ctx) noexcept;
// Fills ctx->key, primary and identity. kNone, kKeyTooLong or kInternal.
http::Reason read_key(Ctx* ctx) noexcept;
// The key under which the URL's n-th object lies (cache/key.h), from 0. False when memory ran out.
bool use_slot(Ctx* ctx, uint32_t slot) noexcept;
// The variant's key for this request under `spec` (http/vary.h) into ctx->variant_key and ctx->digest.
bool read_variant(Ctx* ctx, Bytes spec) noexcept;

// Of which kind of requests this is (hit_for_miss.h).
uint8_t mark_kind(const ngx_http_request_t* r) noexcept;
// Facts that are at hand without looking through the header.
http::Request request_facts(ngx_http_request_t* r) noexcept;
// An empty line that nginx's proxy module adds, to keep its own from being added.
bool is_stand_in(const ngx_table_elt_t& h) noexcept;
// All header lines, copied once into an array on the request's pool; empty when memory ran out.
http::Fields request_fields(ngx_http_request_t* r) noexcept;
// The same of any list of header lines, with room for `extra` more at the end.
http::Fields list_fields(ngx_pool_t* pool, ngx_list_t* list, size_t extra, http::Field** out) noexcept;

// $slab_cache_uri, also where slab_cache is off.
bool canonical_uri(ngx_http_request_t* r, const LocConf* conf, Bytes* uri) noexcept;
// Host in lower case, without port (nginx's $host).
Bytes host_of(ngx_http_request_t* r) noexcept;
bool is_https(ngx_http_request_t* r) noexcept;
// What the request was sent to, as its client wrote it: references in the answer are relative to it.
http::TargetUri target_of(ngx_http_request_t* r) noexcept;

}  // namespace slab_cache::ngx
