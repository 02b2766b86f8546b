// A lane that speaks to Redis or Valkey.
#include "ngx/glue/ngx.h"

#include "cache/redis_command.h"
#include "ngx/fleet/redis_link.h"
#include "ngx/tier/tier_lane.h"

namespace slab_cache::ngx {

struct LaneState {
    RedisLink link;
    RedisLink told;       // what was watched and has changed is told here; started by the first who watches
    int64_t told_number;  // of that connection, as the server counts them
};

namespace {

constexpr size_t kReplyRoom = 4096;  // beside the value
constexpr uint32_t kMostCommands = 16 * 1024;
constexpr char kChannel[] = "__redis__:invalidate";

TierLane* lane_of(const RedisLink* link) noexcept { return static_cast<TierLane*>(link->owner); }

// ---- the connection ------------------------------------------------------------------------------------------

void on_ready(RedisLink* link) noexcept {
    TierLane* lane = lane_of(link);
    lane->is_ready = true;
    lane->has_failed = false;
    count(lane->conf->area, TierFigure::kConnects);
    lane->calls->ready(lane);
}

void on_lost(RedisLink* link, const char* why) noexcept {
    TierLane* lane = lane_of(link);
    lane->is_ready = false;
    lane->is_started = !is_stopped(link->peer);  // a worker that quits may need it once more
    lane->has_failed = lane->is_started;
    lane->can_watch = false;
    stop_redis(&lane->state->told);  // its number means nothing to another server
    lane->calls->lost(lane, why);
}

constexpr RedisCalls kLinkCalls = {on_ready, on_lost, nullptr, nullptr};

// ---- who tells of changes ------------------------------------------------------------------------------------

// The lane's own connection is told to watch what it is asked to, and that this one is to hear of it.
void on_subscribed(RedisLink* told, const cache::Reply* reply, void*) noexcept {
    TierLane* lane = lane_of(told);
    if (reply == nullptr || reply->is_error()) {
        return;
    }
    told->is_subscribed = true;
    u_char number[NGX_INT64_LEN];
    const u_char* end = ngx_sprintf(number, "%L", lane->state->told_number);
    const Bytes words[] = {
        "CLIENT", "TRACKING", "ON", "REDIRECT", {reinterpret_cast<char*>(number), static_cast<size_t>(end - number)},
        "OPTIN"};
    (void) send_redis(
        &lane->state->link, words,
        [](RedisLink* link, const cache::Reply* answer, void*) noexcept {
            lane_of(link)->can_watch =
                answer != nullptr && !answer->is_error() && lane_of(link)->state->told.is_subscribed;
        },
        nullptr);
}

void on_number(RedisLink* told, const cache::Reply* reply, void*) noexcept {
    if (reply == nullptr || reply->kind != cache::ReplyKind::kInteger) {
        return;
    }
    lane_of(told)->state->told_number = reply->integer;
    const Bytes subscribe[] = {"SUBSCRIBE", kChannel};
    (void) send_redis(told, subscribe, on_subscribed, nullptr);
}

void on_told_ready(RedisLink* told) noexcept {
    const Bytes id[] = {"CLIENT", "ID"};
    (void) send_redis(told, id, on_number, nullptr);
}

void on_told_lost(RedisLink* told, const char*) noexcept { lane_of(told)->can_watch = false; }

// message __redis__:invalidate [key …], or nothing in place of the keys where all were flushed.
void on_told(RedisLink* told, const cache::Reply& reply) noexcept {
    TierLane* lane = lane_of(told);
    if (reply.at(0).text != "message" || reply.at(1).text != kChannel) {
        return;
    }
    const cache::Reply& keys = reply.at(2);
    if (!keys.is_array()) {
        lane->calls->changed(lane, {});
        return;
    }
    for (uint32_t i = 0; i < keys.count; i++) {
        lane->calls->changed(lane, keys.at(i).text);
    }
}

constexpr RedisCalls kToldCalls = {on_told_ready, on_told_lost, on_told, nullptr};

void start_telling(TierLane* lane) noexcept {
    RedisConf conf;
    conf.max_commands = 64;
    start_redis(&lane->state->told, lane->peers, &kToldCalls, lane, conf, lane->log);
}

void start(TierLane* lane) noexcept {
    if (lane->state == nullptr) {
        lane->state = static_cast<LaneState*>(ngx_calloc(sizeof(LaneState), lane->log));
    }
    if (lane->state == nullptr) {
        return;
    }
    RedisConf conf;
    conf.max_out = lane->max_out;
    conf.max_commands = kMostCommands;
    conf.reply.bytes = lane->max_value + kReplyRoom;
    conf.reply.values = 64;
    start_redis(&lane->state->link, lane->peers, &kLinkCalls, lane, conf, lane->log);
}

void stop(TierLane* lane) noexcept {
    if (lane->state == nullptr) {
        return;
    }
    stop_redis(&lane->state->told);
    stop_redis(&lane->state->link);
    lane->is_ready = false;
}

// ---- commands ------------------------------------------------------------------------------------------------

// The function that a command's asker gave, until its reply comes.
struct Awaited {
    TierReplyFn fn;
    void* data;
};

void tell(void* data, const TierReply& reply) noexcept {
    auto* awaited = static_cast<Awaited*>(data);
    const Awaited copy = *awaited;
    ngx_free(awaited);
    if (copy.fn != nullptr) {
        copy.fn(reply, copy.data);
    }
}

// True: it was no answer to what was asked; `failure` is what the asker is told.
bool is_failure(RedisLink* link, const cache::Reply* reply, TierReply* failure) noexcept {
    if (reply == nullptr) {
        *failure = {Told::kGone, {}, 0};
        return true;
    }
    if (!reply->is_error()) {
        return false;
    }
    count(lane_of(link)->conf->area, TierFigure::kErrors);
    *failure = {Told::kError, reply->text, 0};
    return true;
}

// A master that became a replica, or is loading: the next address. There are no clusters here.
void leave_if_elsewhere(RedisLink* link, const cache::Reply* reply) noexcept {
    if (reply != nullptr && reply->is_error() && !reply->says("MOVED")) {
        (void) drop_if_elsewhere(link, *reply);
    }
}

using ReadFn = TierReply (*)(const cache::Reply& reply) noexcept;

template <ReadFn kRead>
void on_reply(RedisLink* link, const cache::Reply* reply, void* data) noexcept {
    TierReply told;
    if (!is_failure(link, reply, &told)) {
        told = kRead(*reply);
    }
    tell(data, told);
    leave_if_elsewhere(link, reply);
}

Awaited* await(TierLane* lane, TierReplyFn fn, void* data) noexcept {
    auto* awaited = lane->is_ready ? static_cast<Awaited*>(ngx_alloc(sizeof(Awaited), lane->log)) : nullptr;
    if (awaited != nullptr) {
        *awaited = {fn, data};
    }
    return awaited;
}

template <uint32_t N>
bool send(TierLane* lane, const Bytes (&word)[N], RedisReplyFn then, TierReplyFn fn, void* data) noexcept {
    Awaited* awaited = await(lane, fn, data);
    if (awaited != nullptr && send_redis(&lane->state->link, word, then, awaited)) {
        return true;
    }
    ngx_free(awaited);
    return false;
}

Bytes put_number(char* to, uint64_t n) noexcept { return {to, static_cast<size_t>(base::put_decimal(to, n) - to)}; }

// What is longer than a value may be is cut, and told apart by that.
TierReply read_value(const cache::Reply& reply) noexcept {
    return {reply.is_text() && !reply.text.empty() ? Told::kValue : Told::kAbsent, reply.text, 0};
}

bool get(TierLane* lane, Bytes key, TierReplyFn fn, void* data) noexcept {
    char last[base::kDecimalBytes];
    const Bytes words[] = {"GETRANGE", key, "0", put_number(last, lane->max_value)};
    return send(lane, words, on_reply<read_value>, fn, data);
}

TierReply read_lease(const cache::Reply& reply) noexcept { return {reply.is_text() ? Told::kWon : Told::kHeld, {}, 0}; }

bool acquire(TierLane* lane, Bytes lease, ngx_msec_t lease_ms, TierReplyFn fn, void* data) noexcept {
    char pid[base::kDecimalBytes];
    char ms[base::kDecimalBytes];
    const Bytes words[] = {"SET", lease, put_number(pid, static_cast<uint64_t>(ngx_pid)),
                           "NX",  "PX",  put_number(ms, lease_ms)};
    return send(lane, words, on_reply<read_lease>, fn, data);
}

TierReply read_holder(const cache::Reply& reply) noexcept {
    return {reply.is_text() ? Told::kHeld : Told::kAbsent, {}, 0};
}

uint32_t watch(TierLane* lane, Bytes key, Bytes lease, TierReplyFn value, TierReplyFn holder, void* data) noexcept {
    if (is_stopped(lane->state->told.peer)) {
        start_telling(lane);
    }
    RedisLink* link = &lane->state->link;
    char last[base::kDecimalBytes];
    const Bytes caching[] = {"CLIENT", "CACHING", "YES"};  // of the command behind it
    const Bytes read[] = {"GETRANGE", key, "0", put_number(last, lane->max_value)};
    const Bytes held[] = {"GET", lease};
    if (!lane->can_watch || !send_redis(link, caching, nullptr, nullptr) ||
        !send(lane, read, on_reply<read_value>, value, data)) {
        return 0;
    }
    return send_redis(link, caching, nullptr, nullptr) && send(lane, held, on_reply<read_holder>, holder, data) ? 2 : 1;
}

TierReply read_done(const cache::Reply&) noexcept { return {Told::kDone, {}, 0}; }

bool remove(TierLane* lane, Bytes key) noexcept {
    const Bytes words[] = {"DEL", key};
    return send(lane, words, on_reply<read_done>, nullptr, nullptr);
}

// Its holder asks for that within the lease's time alone: it is nobody else's yet.
bool release(TierLane* lane, Bytes lease, uint64_t) noexcept { return remove(lane, lease); }

// SETEX key seconds value: the value comes last, and is put in by who has it.
u_char* put_begin(TierLane* lane, Bytes key, size_t size, uint64_t ttl_sec) noexcept {
    char number[base::kDecimalBytes];
    const Bytes ttl = put_number(number, ttl_sec);
    const Bytes words[] = {"SETEX", key, ttl};
    if (!lane->is_ready) {
        return nullptr;
    }
    u_char* at = redis_room(&lane->state->link, cache::command_room(words, 3) + 2 * cache::kCommandPartRoom + size);
    if (at == nullptr) {
        return nullptr;
    }
    char* to = cache::write_command_head(reinterpret_cast<char*>(at), 4);
    for (const Bytes word : words) {
        to = cache::write_command_word(to, word);
    }
    return ngx_sprintf(reinterpret_cast<u_char*>(to), "$%uz" CRLF, size);
}

void put_end(TierLane* lane, u_char* end, TierReplyFn fn, void* data) noexcept {
    Awaited* awaited = await(lane, fn, data);
    *end++ = CR;
    *end++ = LF;
    redis_wrote(&lane->state->link, end, awaited != nullptr ? on_reply<read_done> : nullptr, awaited);
}

}  // namespace

const LaneProtocol redis_lane = {start, stop, get, acquire, watch, release, put_begin, put_end, remove};

}  // namespace slab_cache::ngx
