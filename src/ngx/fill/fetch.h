// ngx/fill/fetch.h — one answer of an origin on its way into the zone: what its three lives have in common.
//
// Lives       CloneFill    a request of its own asks the origin (clone_fill.h)
//             DirectFill   the client's own request does (direct_fill.h)
//             PostCopy     nobody does: a POST's answer is stored a second time, as a GET's (post_copy.h)
// Types       Fetch is what each has: names, a birth, the object that is written. Fill is what the two have that ask the origin. A
//             function takes the type whose fields it needs. So none looks for what a life does not have.
// Phase       each life has its own (phase_table.h); set_phase() alone changes it.
// Ownership   all lie on the pool of the request that asks.
#pragma once

#include "ngx/glue/ngx.h"

#include <optional>

#include "base/check.h"
#include "ngx/conf/conf.h"
#include "ngx/fill/phase_table.h"
#include "ngx/request/ctx.h"
#include "ngx/zone/listing.h"

namespace slab_cache::ngx {

struct TierFill;  // tier_write.h

struct Fetch {
    ngx_http_request_t* request;  // whose response the answer is
    LocConf* conf;
    Zone* zone;
    Ctx* leader;         // of this worker: gets what is not stored. nullptr: nobody waits, or it has gone
    bool marks_nothing;  // its request was not like others: what becomes of it marks nothing

    ClientUrl url;
    uint64_t identity;  // identity.h
    uint8_t kind;       // MarkKind
    Bytes key;          // primary
    shm::Digest primary;
    shm::Digest digest;  // of what the lease is on

    shm::Ticket ticket;      // the lease; empty: none
    bool is_lease_moved;     // ... it is younger than the question to the origin
    uint64_t birth;          // purges from here on count
    uint64_t asked;          // ... pushes from here on, where the origin was asked before that; else 0
    uint64_t started_ms;     // when the origin was asked
    int64_t expected;        // Content-Length, or -1
    uint64_t received;       // body bytes
    u_char* read_buffer;     // for bodies that come as files
    Bytes head;              // as stored
    shm::Writer writer;      // of the object that is written
    uint32_t published_ref;  // of what was published last; 0: nothing
    TierFill* tier;          // what is stored goes there too; nullptr: to none
};

// Asks the origin.
struct Fill : Fetch {
    Listed listed;                         // listing.h
    bool has_authorization;                // that the key leaves out
    std::optional<http::ByteRange> slice;  // of which the origin is asked for that part alone (sliced_request.h)
    bool buffer_enlarged;                  // upstream_buffer.h
    int64_t started_sec;
    bool* over;  // set when the fill ends; nullptr while nobody asks
};

// The only place where the phase of a fill changes; as set_step().
template <typename F>
inline void set_phase(F* fill, decltype(F::phase) to,
                      [[maybe_unused]] const char* from_where = __builtin_FUNCTION()) noexcept {
    [[maybe_unused]] ngx_log_t* log = fill->request->connection->log;
#if defined(SLAB_DEBUG)
    if (!base::is_legal_move(fill->phase, to)) {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "slab_cache: illegal phase %s -> %s of a fill, in %s()",
                      row_of(fill->phase).name, row_of(to).name, from_where);
        SLAB_DCHECK(false);
    }
#endif
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0, "slab_cache: fill: %s -> %s", row_of(fill->phase).name, row_of(to).name);
    fill->phase = to;
}

// For ctx's key; `r` asks the origin. Without names, leader, lease and birth.
void begin_fill(Fill* fill, const Ctx* ctx, ngx_http_request_t* r) noexcept;

// A lease that came to nothing: whoever waits looks again.
void give_back(Zone* zone, const shm::Ticket& lease) noexcept;
// What a lease that ends as published says of its object, in the 16 bits it has for that. Never 0.
inline uint32_t answer_id(uint32_t ref) noexcept { return (ref * 0x9E3779B1U) >> 16 | 1; }
// Ends the lease with `outcome` and wakes who waits on it. kPublished: `detail` is the object's mark, or 0. Idempotent.
void end_lease(Fetch* fetch, shm::LeaseState outcome, uint32_t detail) noexcept;
// Store::commit() of what was written; kPurged where its URL was not listed all the time, or was pushed since (listing.h).
shm::Status publish(Fetch* fetch, Listed* listed) noexcept;

}  // namespace slab_cache::ngx
