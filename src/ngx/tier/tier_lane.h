// ngx/tier/tier_lane.h — one connection to one store, whatever it speaks: values, leases, deletions.
//
// What        Commands are pipelined; each has a function for its reply, in order. RESP over RedisLink, memcached's meta protocol over
//             a PeerLink. Lease and object of one key lie on one server, and are asked for over one lane: they are carried out in
//             the order in which they were sent.
// Lease       a key beside the object's, which the server gives to one and forgets by itself. Redis: SET NX PX; memcached: an item that
//             comes into being by being missed (mg N), which one caller wins.
// Ownership   part of its server (tier_client.h); lies still. A reply's value is valid during the call it is given to.
// Threading   one worker's event loop.
// Errors      a command whose reply will not come gets kGone. What was not taken (false) has no reply.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/tier/tier_conf.h"

namespace slab_cache::ngx {

struct TierLane;

enum class Told : uint8_t {
    kValue,
    kAbsent,
    kWon,   // the lease; `token` gives it back
    kHeld,  // somebody else has it
    kDone,
    kError,     // `value` says which
    kTooLarge,  // the store does not take what was put
    kGone       // the connection is
};

struct TierReply {
    Told told;
    Bytes value;
    uint64_t token;
};
using TierReplyFn = void (*)(const TierReply& reply, void* data) noexcept;

struct LaneCalls {
    void (*ready)(TierLane* lane) noexcept;
    void (*lost)(TierLane* lane, const char* why) noexcept;
    // This key was written, deleted or has expired; empty: any may have. Only where it was watched.
    void (*changed)(TierLane* lane, Bytes store_key) noexcept;
};

struct LaneProtocol {
    void (*start)(TierLane* lane) noexcept;
    void (*stop)(TierLane* lane) noexcept;
    bool (*get)(TierLane* lane, Bytes key, TierReplyFn fn, void* data) noexcept;
    // Wins the lease, or finds it held. REQUIRES lease_ms > 0.
    bool (*acquire)(TierLane* lane, Bytes lease, ngx_msec_t lease_ms, TierReplyFn fn, void* data) noexcept;
    // Two replies: the value, and whether the lease is held (kHeld, kAbsent). From then on changed() tells of both keys. Returns how many
    // of them will come: 2, or the store tells nobody now. nullptr: it never does.
    uint32_t (*watch)(TierLane* lane, Bytes key, Bytes lease, TierReplyFn value, TierReplyFn holder,
                      void* data) noexcept;
    bool (*release)(TierLane* lane, Bytes lease, uint64_t token) noexcept;
    // Room for the value, `size` bytes, which are put in before put_end(). nullptr: not taken.
    u_char* (*put_begin)(TierLane* lane, Bytes key, size_t size, uint64_t ttl_sec) noexcept;
    void (*put_end)(TierLane* lane, u_char* end, TierReplyFn fn, void* data) noexcept;
    bool (*remove)(TierLane* lane, Bytes key) noexcept;
};

struct LaneState;  // of the protocol's file

struct TierLane {
    const LaneProtocol* protocol;
    const LaneCalls* calls;
    TierConf* conf;
    Peers* peers;
    void* owner;
    size_t max_value;  // a longer reply breaks the connection
    size_t max_out;
    ngx_log_t* log;
    bool is_started;
    bool is_ready;
    bool can_watch;
    bool has_failed;  // since it was ready last
    LaneState* state;
};

extern const LaneProtocol redis_lane;
extern const LaneProtocol memcached_lane;

}  // namespace slab_cache::ngx
