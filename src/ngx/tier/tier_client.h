// ngx/tier/tier_client.h — this worker's connections to the servers of a tier, and whether they are worth asking.
//
// What        Two lanes to each server, one for small values and one for large ones, made when they are first used. A value's size is
//             known once it was seen: `large` remembers by a hash of the key.
// Circuit     three timeouts within a second, and a server is not asked any more but once a second, by one request. Whatever it says
//             closes the circuit. All who wait for it when it opens go on at once.
// Ownership   on the heap, from its first use until the worker exits. Lies still.
// Threading   one worker's event loop.
// Exit        connections are idle: they keep no worker that was told to quit. What it still has to say opens another.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/tier_key.h"
#include "ngx/tier/tier_lane.h"

namespace slab_cache::ngx {

struct TierServer;

enum class Lane : uint8_t { kSmall, kLarge };
inline constexpr ngx_uint_t kLanes = 2;
inline constexpr size_t kSmallValue = 64 * 1024;
inline constexpr uint32_t kKnownSizes = 4096;
inline constexpr ngx_uint_t kTimeoutsToOpen = 3;
inline constexpr ngx_uint_t kAskBuckets = 1024;

struct TierServer {
    TierClient* client;
    Peers* peers;
    TierLane lane[kLanes];
    ngx_queue_t asks;                        // under way
    uint64_t timed_out_ms[kTimeoutsToOpen];  // the last ones, in a ring
    ngx_uint_t timeouts;
    bool is_open;  // the circuit
    uint64_t next_probe_ms;
    ngx_queue_t puts[kLanes];  // values that wait for the lane's connection
    size_t put_bytes;
};

struct TierClient {
    TierConf* conf;
    TierServer* server;
    ngx_uint_t servers;
    ngx_log_t* log;
    uint8_t large[kKnownSizes / 8];
    ngx_queue_t waiting[kAskBuckets];  // asks that wait for another machine, by key
};

// This worker's; made when there is none. nullptr: no memory, or the worker exits.
TierClient* client_of(TierConf* conf) noexcept;
TierServer* server_of(TierClient* client, const cache::StoreKey& key) noexcept;
TierLane* lane_for(TierServer* server, Lane which) noexcept;  // started
bool is_known_large(const TierClient& client, Bytes key) noexcept;
void know_size(TierClient* client, Bytes key, size_t bytes) noexcept;

enum class Circuit : uint8_t { kClosed, kProbe, kOpen };
Circuit circuit_of(TierServer* server) noexcept;  // kProbe: you are the one who tries
void note_answer(TierServer* server) noexcept;    // it said something in time
void note_timeout(TierServer* server) noexcept;

// In exit_process.
void stop_tiers(ngx_cycle_t* cycle) noexcept;

// The parts of tier_ask.cpp that lanes call.
extern const LaneCalls ask_calls;
void fail_asks(TierServer* server, TierMiss why) noexcept;

}  // namespace slab_cache::ngx
