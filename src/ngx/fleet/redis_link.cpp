#include "ngx/glue/ngx.h"

#include "ngx/fleet/redis_link.h"

#include <new>

#include "cache/redis_command.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kLeastAwaited = 64;

RedisLink* redis_of(PeerLink* peer) noexcept { return reinterpret_cast<RedisLink*>(peer); }

// ---- what is awaited -----------------------------------------------------------------------------------------

bool has_awaited_room(RedisLink* link) noexcept {
    if (link->awaited_count < link->awaited_size) {
        return true;
    }
    const uint32_t size = link->awaited_size != 0 ? 2 * link->awaited_size : kLeastAwaited;
    if (link->awaited_count >= link->conf.max_commands) {
        return false;
    }
    auto* fresh = static_cast<RedisAwaited*>(ngx_alloc(size * sizeof(RedisAwaited), &link->peer.log));
    if (fresh == nullptr) {
        return false;
    }
    for (uint32_t i = 0; i < link->awaited_count; i++) {
        fresh[i] = link->awaited[(link->awaited_from + i) % link->awaited_size];
    }
    ngx_free(link->awaited);
    link->awaited = fresh;
    link->awaited_size = size;
    link->awaited_from = 0;
    return true;
}

void await(RedisLink* link, RedisReplyFn fn, void* data) noexcept {
    link->awaited[(link->awaited_from + link->awaited_count++) % link->awaited_size] = {fn, data};
    link_expects(&link->peer, true);
}

bool take_awaited(RedisLink* link, RedisAwaited* first) noexcept {
    if (link->awaited_count == 0) {
        return false;
    }
    *first = link->awaited[link->awaited_from];
    link->awaited_from = (link->awaited_from + 1) % link->awaited_size;
    link->awaited_count--;
    if (link->awaited_count == 0) {
        link_expects(&link->peer, false);
    }
    return true;
}

bool write_words(RedisLink* link, const Bytes* word, uint32_t count, RedisReplyFn fn, void* data) noexcept {
    if (!has_awaited_room(link)) {
        return false;
    }
    u_char* room = link_room(&link->peer, cache::command_room(word, count));
    if (room == nullptr) {
        return false;
    }
    char* end = cache::write_command(reinterpret_cast<char*>(room), word, count);
    await(link, fn, data);
    link_wrote(&link->peer, reinterpret_cast<u_char*>(end));
    return true;
}

// ---- greeting ------------------------------------------------------------------------------------------------

void greet_role(RedisLink* link) noexcept;

bool ask(RedisLink* link, const Bytes* word, uint32_t count,
         void (*then)(RedisLink*, const cache::Reply&) noexcept) noexcept {
    link->greeting = then;
    const bool sent = write_words(
        link, word, count,
        [](RedisLink* of, const cache::Reply* reply, void*) noexcept {
            if (reply != nullptr) {
                of->greeting(of, *reply);
            }
        },
        nullptr);
    if (!sent) {
        drop_redis(link, "out of memory");
    }
    return sent;
}

void be_ready(RedisLink* link) noexcept {
    link->is_ready = true;
    link->reread_password = false;
    if (!link->conf.owner_says_good) {
        link_is_good(&link->peer);
    }
    link->calls->ready(link);
}

void on_role(RedisLink* link, const cache::Reply& reply) noexcept {
    if (reply.is_error() && !reply.says("NOPERM") && !reply.says("ERR")) {
        drop_redis(link, reply.says("LOADING") ? "it is loading its data" : "it does not say its role");
        return;
    }
    // Who may not ask finds out by the first write.
    if (!reply.is_error() && !(reply.at(0).is_text() && reply.at(0).text == "master")) {
        drop_redis(link, "it is no master");
        return;
    }
    be_ready(link);
}

void on_select(RedisLink* link, const cache::Reply& reply) noexcept {
    if (reply.is_error()) {
        drop_redis(link, reply.says("LOADING") ? "it is loading its data" : "it has no such database");
        return;
    }
    greet_role(link);
}

void greet_role(RedisLink* link) noexcept {
    if (!link->conf.wants_master) {
        be_ready(link);
        return;
    }
    const Bytes role[] = {"ROLE"};
    (void) ask(link, role, 1, on_role);
}

void greet_database(RedisLink* link) noexcept {
    if (link->peer.peers->database == 0) {  // a cluster has no other, and no SELECT
        greet_role(link);
        return;
    }
    u_char text[NGX_INT_T_LEN];
    u_char* end = ngx_sprintf(text, "%i", link->peer.peers->database);
    const Bytes select[] = {"SELECT", {reinterpret_cast<char*>(text), static_cast<size_t>(end - text)}};
    (void) ask(link, select, 2, on_select);
}

void on_name(RedisLink* link, const cache::Reply& reply) noexcept {
    if (reply.says("NOAUTH")) {
        drop_redis(link, "it wants a password: password_file= names one");
        return;
    }
    greet_database(link);  // a name that is refused is none
}

void greet_name(RedisLink* link) noexcept {
    const Bytes name[] = {"CLIENT", "SETNAME", "nginx-slab-cache"};
    (void) ask(link, name, 3, on_name);
}

void on_auth(RedisLink* link, const cache::Reply& reply) noexcept {
    if (reply.is_error() && !reply.says("LOADING")) {
        link->reread_password = true;  // it may have been changed, in the file too
        drop_redis(link, "it refuses the password");
        return;
    }
    greet_name(link);
}

void greet(PeerLink* peer) noexcept {
    RedisLink* link = redis_of(peer);
    Peers* peers = peer->peers;
    link->has_too_large_reply = false;
    if (link->reader == nullptr || !link->reader->open(link->conf.reply)) {
        drop_link(peer, "out of memory");
        return;
    }
    if (link->reread_password) {
        (void) read_password(peers);
    }
    if (peers->password_bytes == 0) {
        greet_name(link);
        return;
    }
    const Bytes password{reinterpret_cast<char*>(peers->password), peers->password_bytes};
    const Bytes auth[] = {"AUTH", peers->user.len != 0 ? view(peers->user) : password, password};
    (void) ask(link, auth, peers->user.len != 0 ? 3 : 2, on_auth);
}

// ---- replies -------------------------------------------------------------------------------------------------

bool is_push(const cache::Reply& reply) noexcept {
    const Bytes kind = reply.at(0).text;
    return reply.is_array() && reply.count >= 3 &&
           (kind == "message" || kind == "pmessage" || kind == "subscribe" || kind == "psubscribe" ||
            kind == "unsubscribe" || kind == "punsubscribe");
}

// False: nobody asked for it.
bool hand_on(RedisLink* link, const cache::Reply& reply) noexcept {
    RedisAwaited first;
    if (link->is_subscribed && link->calls->pushed != nullptr && is_push(reply)) {
        link->calls->pushed(link, reply);
        return true;
    }
    if (!take_awaited(link, &first)) {
        return false;
    }
    if (first.fn != nullptr) {
        first.fn(link, &reply, first.data);
    }
    return true;
}

bool read_bytes(PeerLink* peer, Bytes bytes, const char** why) noexcept {
    RedisLink* link = redis_of(peer);
    const uint32_t life = peer->life;
    cache::ReplyReader* reader = link->reader;
    bool fine = true;
    link->is_reading = true;
    reader->feed(bytes);
    while (fine && peer->life == life) {
        const cache::Reply* reply = nullptr;
        const auto next = reader->next(&reply);
        if (next == cache::ReplyReader::Next::kMore) {
            break;
        }
        if (next == cache::ReplyReader::Next::kBroken) {
            link->has_too_large_reply = base::starts_with(reader->why(), "a reply");
            *why = link->has_too_large_reply ? "its reply is too large" : "its reply is no RESP";
            fine = false;
        } else if (!hand_on(link, *reply)) {
            *why = "it said what nobody asked for";
            fine = false;
        }
    }
    link->is_reading = false;
    if (peer->life != life) {
        reader->close();  // it was lost meanwhile, while we were reading
    }
    return fine;
}

void fail_awaited(RedisLink* link) noexcept {
    RedisAwaited first;
    // Nothing is added meanwhile: there is no connection.
    while (take_awaited(link, &first)) {
        if (first.fn != nullptr) {
            first.fn(link, nullptr, first.data);
        }
    }
}

void lost(PeerLink* peer, const char* why) noexcept {
    RedisLink* link = redis_of(peer);
    link->is_ready = false;
    link->is_subscribed = false;
    if (!link->is_reading) {
        link->reader->close();
    }
    fail_awaited(link);
    link->calls->lost(link, why);
}

void leaving(PeerLink* peer) noexcept {
    RedisLink* link = redis_of(peer);
    if (link->is_ready && link->calls->leaving != nullptr) {
        link->calls->leaving(link);
    }
}

constexpr PeerCalls peer_calls = {greet, read_bytes, lost, leaving};

}  // namespace

void start_redis(RedisLink* link, Peers* peers, const RedisCalls* calls, void* owner, const RedisConf& conf,
                 ngx_log_t* log) noexcept {
    if (!is_stopped(link->peer)) {
        return;
    }
    if (link->reader == nullptr) {
        void* memory = ngx_alloc(sizeof(cache::ReplyReader), log);
        if (memory == nullptr) {
            return;
        }
        link->reader = new (memory) cache::ReplyReader;
    }
    link->calls = calls;
    link->owner = owner;
    link->conf = conf;
    link->peer.peers = peers;
    link->peer.calls = &peer_calls;
    link->peer.owner = link;
    link->peer.max_out = conf.max_out;
    start_link(&link->peer, log);
}

void stop_redis(RedisLink* link) noexcept {
    if (is_stopped(link->peer)) {
        return;
    }
    stop_link(&link->peer);
    link->is_ready = false;
    link->is_subscribed = false;
    if (!link->is_reading) {
        link->reader->close();
    }
    fail_awaited(link);
    ngx_free(link->awaited);
    link->awaited = nullptr;
    link->awaited_size = link->awaited_from = link->awaited_count = 0;
}

void drop_redis(RedisLink* link, const char* why) noexcept { drop_link(&link->peer, why); }

bool send_redis(RedisLink* link, const Bytes* word, uint32_t count, RedisReplyFn fn, void* data) noexcept {
    return link->is_ready && write_words(link, word, count, fn, data);
}

u_char* redis_room(RedisLink* link, size_t bytes) noexcept {
    return link->is_ready && has_awaited_room(link) ? link_room(&link->peer, bytes) : nullptr;
}

void redis_wrote(RedisLink* link, u_char* end, RedisReplyFn fn, void* data) noexcept {
    await(link, fn, data);
    link_wrote(&link->peer, end);
}

bool send_redis_bytes(RedisLink* link, Bytes command, RedisReplyFn fn, void* data) noexcept {
    u_char* room = redis_room(link, command.size());
    if (room == nullptr) {
        return false;
    }
    ngx_memcpy(room, command.data(), command.size());
    redis_wrote(link, room + command.size(), fn, data);
    return true;
}

bool drop_if_elsewhere(RedisLink* link, const cache::Reply& reply) noexcept {
    if (!reply.is_error()) {
        return false;
    }
    if (reply.says("MOVED")) {  // MOVED slot host:port
        const size_t space = reply.text.rfind(' ');
        if (!redirect_link(&link->peer, base::slice(reply.text, space + 1))) {
            ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0, "%V: MOVED to what is no address", &link->peer.peers->label);
        }
        drop_redis(link, "the stream is on another server");
        return true;
    }
    for (const Bytes word : {Bytes("READONLY"), Bytes("UNBLOCKED"), Bytes("MASTERDOWN"), Bytes("LOADING"),
                             Bytes("CLUSTERDOWN"), Bytes("NOAUTH")}) {
        if (reply.says(word)) {
            drop_redis(link, "it is no master any more");
            return true;
        }
    }
    return false;
}

}  // namespace slab_cache::ngx
