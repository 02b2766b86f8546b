// A lane that speaks memcached's meta protocol.
#include "ngx/glue/ngx.h"

#include "cache/memcached_command.h"
#include "cache/memcached_reply.h"
#include "ngx/fleet/peer_link.h"
#include "ngx/tier/tier_lane.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kMostCommands = 16 * 1024;
constexpr uint32_t kLeastAwaited = 64;
constexpr size_t kLeastIn = 4096;

using ReadFn = TierReply (*)(const cache::MemcachedReply& reply) noexcept;

struct Awaited {
    ReadFn read;
    TierReplyFn fn;
    void* data;
};

}  // namespace

struct LaneState {
    PeerLink link;
    TierLane* lane;
    bool is_greeting;  // its name and password were sent
    Awaited* awaited;  // a ring
    uint32_t awaited_size, awaited_from, awaited_count;
    u_char* in;  // the beginning of a reply
    size_t in_bytes, in_size;
    uint64_t wanted;   // bytes of that reply; 0: its line is not whole
    uint64_t passing;  // bytes of a value that is passed over
};

namespace {

LaneState* state_of(PeerLink* link) noexcept { return static_cast<LaneState*>(link->owner); }

// ---- what is awaited -----------------------------------------------------------------------------------------

bool has_awaited_room(LaneState* s) noexcept {
    if (s->awaited_count < s->awaited_size) {
        return true;
    }
    const uint32_t size = s->awaited_size != 0 ? 2 * s->awaited_size : kLeastAwaited;
    auto* fresh = s->awaited_count < kMostCommands
                      ? static_cast<Awaited*>(ngx_alloc(size * sizeof(Awaited), s->lane->log))
                      : nullptr;
    if (fresh == nullptr) {
        return false;
    }
    for (uint32_t i = 0; i < s->awaited_count; i++) {
        fresh[i] = s->awaited[(s->awaited_from + i) % s->awaited_size];
    }
    ngx_free(s->awaited);
    s->awaited = fresh;
    s->awaited_size = size;
    s->awaited_from = 0;
    return true;
}

void await(LaneState* s, const Awaited& what) noexcept {
    s->awaited[(s->awaited_from + s->awaited_count++) % s->awaited_size] = what;
    link_expects(&s->link, true);
}

bool take_awaited(LaneState* s, Awaited* first) noexcept {
    if (s->awaited_count == 0) {
        return false;
    }
    *first = s->awaited[s->awaited_from];
    s->awaited_from = (s->awaited_from + 1) % s->awaited_size;
    s->awaited_count--;
    link_expects(&s->link, s->awaited_count != 0);
    return true;
}

void fail_awaited(LaneState* s) noexcept {
    for (Awaited first; take_awaited(s, &first);) {
        if (first.fn != nullptr) {
            first.fn({Told::kGone, {}, 0}, first.data);
        }
    }
}

// ---- the connection ------------------------------------------------------------------------------------------

void be_ready(LaneState* s) noexcept {
    link_is_good(&s->link);
    s->lane->is_ready = true;
    s->lane->has_failed = false;
    count(s->lane->conf->area, TierFigure::kConnects);
    s->lane->calls->ready(s->lane);
}

// memcached -Y reads a name and a password as the value of a set.
void on_connected(PeerLink* link) noexcept {
    LaneState* s = state_of(link);
    const Peers& peers = *link->peers;
    s->in_bytes = 0;
    s->wanted = s->passing = 0;
    s->is_greeting = peers.password_bytes != 0;
    if (!s->is_greeting) {
        be_ready(s);
        return;
    }
    if (link->failures != 0) {
        (void) read_password(link->peers);  // it may have been changed
    }
    const size_t bytes = peers.user.len + 1 + peers.password_bytes;
    u_char* at = link_room(link, bytes + kMaxPassword);
    if (at == nullptr) {
        drop_link(link, "out of memory");
        return;
    }
    const ngx_str_t password = {peers.password_bytes, const_cast<u_char*>(peers.password)};
    link_wrote(link, ngx_sprintf(at, "set slab 0 0 %uz" CRLF "%V %V" CRLF, bytes, &peers.user, &password));
    link_expects(link, true);
}

void on_lost(PeerLink* link, const char* why) noexcept {
    LaneState* s = state_of(link);
    s->lane->is_ready = false;
    s->lane->is_started = !is_stopped(*link);  // a worker that quits may need it once more
    s->lane->has_failed = s->lane->is_started;
    fail_awaited(s);
    s->lane->calls->lost(s->lane, why);
}

// ---- replies -------------------------------------------------------------------------------------------------

bool reserve(LaneState* s, size_t bytes) noexcept {
    if (s->in_size >= bytes) {
        return true;
    }
    size_t size = s->in_size != 0 ? s->in_size : kLeastIn;
    while (size < bytes) {
        size *= 2;
    }
    auto* fresh = static_cast<u_char*>(ngx_alloc(size, s->lane->log));
    if (fresh == nullptr) {
        return false;
    }
    if (s->in_bytes != 0) {
        ngx_memcpy(fresh, s->in, s->in_bytes);
    }
    ngx_free(s->in);
    s->in = fresh;
    s->in_size = size;
    return true;
}

bool keep(LaneState* s, Bytes bytes) noexcept {
    if (!reserve(s, s->in_bytes + bytes.size()) || bytes.empty()) {
        return bytes.empty();
    }
    ngx_memcpy(s->in + s->in_bytes, bytes.data(), bytes.size());
    s->in_bytes += bytes.size();
    return true;
}

bool hand_on(LaneState* s, const TierReply* failure, const cache::MemcachedReply& reply) noexcept {
    Awaited first;
    if (!take_awaited(s, &first)) {
        return false;
    }
    if (failure == nullptr && reply.is_error()) {
        count(s->lane->conf->area, TierFigure::kErrors);
    }
    if (first.fn != nullptr) {
        first.fn(failure != nullptr ? *failure : first.read(reply), first.data);
    }
    return true;
}

// One reply at the beginning of `bytes`; *used of them are done with. False: nonsense.
bool take_reply(LaneState* s, Bytes bytes, size_t* used, bool* needs_more) noexcept {
    cache::MemcachedReply reply;
    const cache::MemcachedRead read = cache::read_memcached(bytes, s->lane->max_value, &reply);
    *needs_more = read.next == cache::MemcachedNext::kMore;
    *used = 0;
    switch (read.next) {
    case cache::MemcachedNext::kReply:
        *used = static_cast<size_t>(read.bytes);
        return hand_on(s, nullptr, reply);
    case cache::MemcachedNext::kTooLarge: {
        *used = static_cast<size_t>(ngx_min(read.bytes, bytes.size()));
        s->passing = read.bytes - *used;
        const TierReply too_large = {Told::kTooLarge, {}, 0};
        return hand_on(s, &too_large, reply);
    }
    case cache::MemcachedNext::kMore:
        s->wanted = read.bytes;
        return true;
    case cache::MemcachedNext::kBroken:
        break;
    }
    return false;
}

// Takes what belongs to the reply that began before. What is taken of `bytes` is cut off.
bool complete(LaneState* s, Bytes* bytes) noexcept {
    const size_t newline = bytes->find('\n');
    const size_t missing = s->wanted != 0           ? static_cast<size_t>(s->wanted - s->in_bytes)
                           : newline != Bytes::npos ? newline + 1
                                                    : bytes->size();
    const Bytes part = base::slice(*bytes, 0, missing);
    *bytes = base::slice(*bytes, part.size());
    return keep(s, part);
}

bool read_greeting(LaneState* s, Bytes* bytes, const char** why) noexcept {
    if (!complete(s, bytes)) {
        *why = "out of memory";
        return false;
    }
    const Bytes line{reinterpret_cast<char*>(s->in), s->in_bytes};
    if (line.find('\n') == Bytes::npos) {
        return true;
    }
    s->in_bytes = 0;
    s->is_greeting = false;
    link_expects(&s->link, false);
    if (!base::starts_with(line, "STORED")) {
        *why = "it refuses the password";
        return false;
    }
    be_ready(s);
    return true;
}

bool read_replies(LaneState* s, Bytes bytes, const char** why) noexcept {
    const uint32_t life = s->link.life;
    *why = "its reply is none of memcached's, or nobody asked for it";
    while (!bytes.empty() && s->link.life == life) {
        if (s->passing != 0) {
            const size_t n = static_cast<size_t>(ngx_min(s->passing, bytes.size()));
            s->passing -= n;
            bytes = base::slice(bytes, n);
            continue;
        }
        size_t used = 0;
        bool needs_more = false;
        if (s->in_bytes == 0) {
            if (!take_reply(s, bytes, &used, &needs_more)) {
                return false;
            }
            if (needs_more) {
                return keep(s, bytes);
            }
            bytes = base::slice(bytes, used);
            continue;
        }
        if (!complete(s, &bytes)) {
            *why = "out of memory";
            return false;
        }
        if (!take_reply(s, {reinterpret_cast<char*>(s->in), s->in_bytes}, &used, &needs_more)) {
            return false;
        }
        if (!needs_more) {
            s->in_bytes = 0;
            s->wanted = 0;
        }
    }
    return true;
}

bool on_bytes(PeerLink* link, Bytes bytes, const char** why) noexcept {
    LaneState* s = state_of(link);
    if (s->is_greeting && !read_greeting(s, &bytes, why)) {
        return false;
    }
    return s->is_greeting || read_replies(s, bytes, why);
}

constexpr PeerCalls kCalls = {on_connected, on_bytes, on_lost, nullptr};

void start(TierLane* lane) noexcept {
    if (lane->state == nullptr) {
        lane->state = static_cast<LaneState*>(ngx_calloc(sizeof(LaneState), lane->log));
    }
    if (lane->state == nullptr) {
        return;
    }
    lane->state->lane = lane;
    lane->state->link.peers = lane->peers;
    lane->state->link.calls = &kCalls;
    lane->state->link.owner = lane->state;
    lane->state->link.max_out = lane->max_out;
    start_link(&lane->state->link, lane->log);
}

void stop(TierLane* lane) noexcept {
    if (lane->state == nullptr) {
        return;
    }
    lane->is_ready = false;
    stop_link(&lane->state->link);
    fail_awaited(lane->state);
}

// ---- commands ------------------------------------------------------------------------------------------------

char* room(TierLane* lane, size_t bytes) noexcept {
    return lane->is_ready && has_awaited_room(lane->state)
               ? reinterpret_cast<char*>(link_room(&lane->state->link, bytes))
               : nullptr;
}

bool wrote(TierLane* lane, char* end, ReadFn read, TierReplyFn fn, void* data) noexcept {
    await(lane->state, {read, fn, data});
    link_wrote(&lane->state->link, reinterpret_cast<u_char*>(end));
    return true;
}

TierReply failure_of(const cache::MemcachedReply& reply) noexcept {
    const bool is_too_large = reply.text.find("too large") != Bytes::npos;
    return {is_too_large ? Told::kTooLarge : Told::kError, reply.text, 0};
}

TierReply read_value(const cache::MemcachedReply& reply) noexcept {
    return reply.is_error() ? failure_of(reply)
           : reply.status == cache::MemcachedStatus::kValue && !reply.value.empty()
               ? TierReply{Told::kValue, reply.value, 0}
               : TierReply{Told::kAbsent, {}, 0};
}

bool get(TierLane* lane, Bytes key, TierReplyFn fn, void* data) noexcept {
    char* to = room(lane, cache::kMemcachedCommandRoom);
    return to != nullptr && wrote(lane, cache::write_mg(to, key, 0), read_value, fn, data);
}

TierReply read_lease(const cache::MemcachedReply& reply) noexcept {
    return reply.is_error() ? failure_of(reply)
           : reply.won      ? TierReply{Told::kWon, {}, reply.cas}
                            : TierReply{Told::kHeld, {}, 0};
}

bool acquire(TierLane* lane, Bytes lease, ngx_msec_t lease_ms, TierReplyFn fn, void* data) noexcept {
    char* to = room(lane, cache::kMemcachedCommandRoom);
    const auto sec = static_cast<uint32_t>((lease_ms + 999) / 1000);
    return to != nullptr && wrote(lane, cache::write_mg(to, lease, sec), read_lease, fn, data);
}

TierReply read_done(const cache::MemcachedReply& reply) noexcept {
    return reply.is_error() ? failure_of(reply) : TierReply{Told::kDone, {}, 0};
}

// By its number: should it have ended meanwhile, it is another's.
bool release(TierLane* lane, Bytes lease, uint64_t token) noexcept {
    char* to = room(lane, cache::kMemcachedCommandRoom);
    return to != nullptr && wrote(lane, cache::write_md(to, lease, token), read_done, nullptr, nullptr);
}

bool remove(TierLane* lane, Bytes key) noexcept {
    char* to = room(lane, cache::kMemcachedCommandRoom);
    return to != nullptr && wrote(lane, cache::write_md(to, key, 0), read_done, nullptr, nullptr);
}

u_char* put_begin(TierLane* lane, Bytes key, size_t size, uint64_t ttl_sec) noexcept {
    char* to = room(lane, cache::kMemcachedCommandRoom + size + 2);
    return to != nullptr
               ? reinterpret_cast<u_char*>(cache::write_ms_head(to, key, size, static_cast<uint32_t>(ttl_sec), 0))
               : nullptr;
}

void put_end(TierLane* lane, u_char* end, TierReplyFn fn, void* data) noexcept {
    *end++ = CR;
    *end++ = LF;
    (void) wrote(lane, reinterpret_cast<char*>(end), read_done, fn, data);
}

}  // namespace

const LaneProtocol memcached_lane = {start, stop, get, acquire, nullptr, release, put_begin, put_end, remove};

}  // namespace slab_cache::ngx
