// ngx/fleet/redis_link.h — commands to one Redis (or Valkey) server and their replies, over a link that is kept up.
//
// What        RESP2 over a PeerLink: pipelined commands, each with a function for its reply, in order. A new connection is
//             greeted first: AUTH, CLIENT SETNAME, SELECT, and ROLE where a master is wanted; a server that is none, or is
//             loading, makes the link go on to the next address.
// Ownership   as PeerLink: part of its owner, lies still. A reply is valid during the call it is given to.
// Threading   one worker's event loop.
// Bounds      unsent bytes, commands without a reply, and a reply's size: RedisConf. A reply that is nonsense, too large, or
//             that nobody asked for closes the connection.
// Errors      a command whose reply will not come (the connection was lost, or the link stopped) gets nullptr for it; whether
//             the server executed it is unknown. All of these come before lost().
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/redis_reply.h"
#include "ngx/fleet/peer_link.h"

namespace slab_cache::ngx {

struct RedisLink;

// `reply`: nullptr: lost. May send, drop and stop.
using RedisReplyFn = void (*)(RedisLink* link, const cache::Reply* reply, void* data) noexcept;

struct RedisCalls {
    void (*ready)(RedisLink* link) noexcept;                  // greeted: commands may be sent
    void (*lost)(RedisLink* link, const char* why) noexcept;  // it comes back by itself, unless stopped
    // What a subscribed connection is told ("message", "pmessage", "subscribe" …); nullptr: such a reply is nonsense.
    void (*pushed)(RedisLink* link, const cache::Reply& reply) noexcept;
    // The worker quits, and the link will be stopped: last words may be sent (flush_link()). nullptr: there are none.
    void (*leaving)(RedisLink* link) noexcept;
};

struct RedisConf {
    bool wants_master = true;
    bool owner_says_good = false;  // link_is_good() is the owner's to call, when a command of its own went well
    size_t max_out = 4 * 1024 * 1024;
    uint32_t max_commands = 64 * 1024;
    cache::ReplyLimits reply;
};

struct RedisAwaited {
    RedisReplyFn fn;
    void* data;
};

struct RedisLink {
    PeerLink peer;  // first: the link is found from it
    const RedisCalls* calls;
    void* owner;
    RedisConf conf;

    // ---- the link's own ----
    bool is_ready;
    bool is_reading;           // within the reader's loop
    bool is_subscribed;        // the owner's word: pushed() is expected
    bool reread_password;      // it was refused once
    bool has_too_large_reply;  // the last connection ended so
    cache::ReplyReader* reader;
    RedisAwaited* awaited;  // a ring
    uint32_t awaited_size, awaited_from, awaited_count;
    void (*greeting)(RedisLink* link, const cache::Reply& reply) noexcept;
};

// `peers`, `calls`, `owner`: for as long as the link. May be called again after stop_redis().
void start_redis(RedisLink* link, Peers* peers, const RedisCalls* calls, void* owner, const RedisConf& conf,
                 ngx_log_t* log) noexcept;
void stop_redis(RedisLink* link) noexcept;
void drop_redis(RedisLink* link, const char* why) noexcept;
inline bool is_ready(const RedisLink& link) noexcept { return link.is_ready; }

// False: not ready, or a bound is reached; nothing was sent, fn will not be called. `fn` may be nullptr: its reply is of no
// interest. All that is sent in one turn of the event loop goes out in one write.
bool send_redis(RedisLink* link, const Bytes* word, uint32_t count, RedisReplyFn fn, void* data) noexcept;
template <uint32_t N>
bool send_redis(RedisLink* link, const Bytes (&word)[N], RedisReplyFn fn, void* data) noexcept {
    return send_redis(link, word, N, fn, data);
}
// The same with the command's bytes, as cache/redis_command.h writes them (one command).
bool send_redis_bytes(RedisLink* link, Bytes command, RedisReplyFn fn, void* data) noexcept;
// The same for who writes the command in place, and nothing else to the link in between. nullptr: not taken.
u_char* redis_room(RedisLink* link, size_t bytes) noexcept;
void redis_wrote(RedisLink* link, u_char* end, RedisReplyFn fn, void* data) noexcept;

// A reply that says: not here. MOVED: the link goes to that address; READONLY, UNBLOCKED, MASTERDOWN, LOADING, CLUSTERDOWN: to
// the next one. True: the link was dropped.
bool drop_if_elsewhere(RedisLink* link, const cache::Reply& reply) noexcept;

}  // namespace slab_cache::ngx
