// ngx/tier/tier_put.h — writing to a tier: a value, and behind it the end of the lease that it was made under.
//
// What        Over the lane for its size; the lease ends behind it, over the same one, so that who waits for the lease's end finds the
//             value. A connection that is still being made is waited for, with few values.
// Errors      a value that is not taken, or is too large, is deleted there: an old one must not stay. All of it is counted, and
//             concerns no request.
// Threading   one worker's event loop.
// Cost        the value is written once, into what the connection will send.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/tier/tier_ask.h"

namespace slab_cache::ngx {

struct TierLane;
struct TierServer;

struct TierPut {
    TierConf* conf;
    TierServer* server;
    TierLane* lane;
    cache::StoreKey key;
    size_t size;
    uint64_t ttl_sec;
    u_char* at;       // where the value's bytes go
    u_char* waiting;  // on the heap, until there is a connection
};

// False: it cannot be written.
bool begin_put(TierConf* conf, const cache::StoreKey& key, size_t size, uint64_t ttl_sec, TierPut* put) noexcept;
// All of its bytes are there. The lease, if any, is given back.
void end_put(TierPut* put, TierHold* hold) noexcept;
void delete_value(TierConf* conf, const cache::StoreKey& key) noexcept;

// A lane got its connection, or lost it.
void send_waiting(TierLane* lane) noexcept;
void drop_waiting(TierLane* lane) noexcept;

}  // namespace slab_cache::ngx
