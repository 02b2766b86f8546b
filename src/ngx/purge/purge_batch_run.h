// ngx/purge/purge_batch_run.h — a purge of one zone on behalf of a request: collected (cache/purge_batch.h), done, answered.
//
// Ownership   a Selection's memory is on its request's pool.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/purge_batch.h"
#include "cache/purge_log.h"
#include "ngx/fleet/purge_zone.h"
#include "ngx/zone/zone.h"

struct json_t;

namespace slab_cache::ngx {

struct Selection : cache::Selection {
    ngx_http_request_t* request;
    Zone* zone;
    // After the purge.
    uint64_t seq;
    Told told;
};

// Empty and without room: for who makes room when it knows how much (cache::make_room).
void begin_selection(Selection* s, ngx_http_request_t* r, Zone* zone) noexcept;
// With room for that many selectors. False when memory ran out.
bool init_selection(Selection* s, ngx_http_request_t* r, Zone* zone, size_t selectors) noexcept;

// Visible to every worker when it returns. The purge counter after it; 0: nothing was purged (Store::purge).
uint64_t purge_selection(Selection* s) noexcept;
ngx_int_t send_not_purged(ngx_http_request_t* r) noexcept;
// One of what a purge is answered with.
json_t* understood_json(const cache::Understood& what) noexcept;
// Purges, and answers {"seq":n,"accepted":n,"understood":[…]}; of a zone with fleet= also "fleet", then perhaps later:
// NGX_DONE is returned.
ngx_int_t purge_and_answer(Selection* s) noexcept;

}  // namespace slab_cache::ngx
