#include "ngx/glue/ngx.h"

#include "ngx/tier/tier_ask.h"

#include "cache/key.h"
#include "ngx/tier/tier_client.h"
#include "ngx/tier/tier_put.h"

namespace slab_cache::ngx {

namespace {

enum class AskState : uint8_t {
    kConnecting,
    kReading,   // the value was asked for
    kLeasing,   // the lease, and the value behind it
    kWatching,  // whether another machine is at it still; its end will be told
    kWaiting,   // for that, or to ask again
    kOver
};

constexpr ngx_msec_t kFirstPauseMs = 2;
constexpr ngx_msec_t kLongestPauseMs = 50;
constexpr ngx_msec_t kSafetyNetMs = 250;

uint64_t now() noexcept { return static_cast<uint64_t>(ngx_current_msec); }

}  // namespace

struct TierAsk {
    ngx_queue_t link;     // TierServer::asks
    ngx_queue_t waiting;  // TierClient::waiting
    bool is_listed;       // in that
    ngx_event_t timer;
    TierServer* server;
    TierLane* lane;
    cache::StoreKey key;
    cache::StoreKey lease;  // once it is asked for
    AskState state;
    bool wants_lease;
    bool is_won;
    bool has_waited;
    bool is_changed;   // while it was being watched
    bool has_failed;   // the lease's command
    uint32_t awaited;  // replies
    uint64_t token;
    uint64_t began_ms;
    uint64_t leased_ms;  // when the lease was asked for
    TierMiss why;        // there is no value that will do
    bool is_left;        // nobody listens any more
    TierAsker asker;
};

namespace {

TierConf* conf_of(const TierAsk* ask) noexcept { return ask->server->client->conf; }

TierHold hold_of(const TierAsk* ask) noexcept {
    return {conf_of(ask), ask->key, ask->token, ask->leased_ms + conf_of(ask)->lease};
}

// Anew: nginx leaves a timer alone that was set to nearly the same moment.
void arm(TierAsk* ask, ngx_msec_t ms) noexcept {
    if (ask->timer.timer_set) {
        ngx_del_timer(&ask->timer);
    }
    ngx_add_timer(&ask->timer, ms);
}

void unlist(TierAsk* ask) noexcept {
    if (ask->is_listed) {
        ngx_queue_remove(&ask->waiting);
        ask->is_listed = false;
    }
}

void free_if_done(TierAsk* ask) noexcept {
    if (ask->state == AskState::kOver && ask->awaited == 0) {
        ngx_free(ask);
    }
}

void be_over(TierAsk* ask) noexcept {
    ask->state = AskState::kOver;
    if (ask->timer.timer_set) {
        ngx_del_timer(&ask->timer);
    }
    ngx_queue_remove(&ask->link);
    unlist(ask);
}

// The lease goes with a miss, or back.
void end(TierAsk* ask, TierAnswer answer) noexcept {
    const TierAsker asker = ask->asker;
    answer.has_waited = ask->has_waited;
    if (ask->is_won) {
        answer.hold = hold_of(ask);
        ask->is_won = false;
    }
    if (answer.is_hit || ask->is_left) {
        give_back(&answer.hold);
    }
    if (!answer.is_hit) {
        count(conf_of(ask)->area, answer.miss);
    }
    const bool is_left = ask->is_left;
    ask->is_left = true;
    be_over(ask);
    if (!is_left) {
        asker.answered(answer, asker.data);
    }
    free_if_done(ask);
}

void miss(TierAsk* ask, TierMiss why) noexcept { end(ask, {false, false, why, {}}); }

void read_value(TierAsk* ask) noexcept;
void take_lease(TierAsk* ask) noexcept;
void wait_for_other(TierAsk* ask) noexcept;

// A reply to this one came. False: nobody waits for it any more.
bool take_reply(TierAsk* ask, const TierReply& reply) noexcept {
    ask->awaited--;
    if (ask->state == AskState::kOver) {
        return false;
    }
    if (reply.told != Told::kGone) {
        note_answer(ask->server);
    }
    return true;
}

// Ended by what the reply says, unless there is no value that will do.
bool has_ended(TierAsk* ask, const TierReply& reply) noexcept {
    switch (reply.told) {
    case Told::kValue:
        know_size(ask->server->client, ask->key.view(), reply.value.size());
        if (reply.value.size() > conf_of(ask)->max_object) {
            ask->why = TierMiss::kTooLarge;
        } else if (ask->asker.take(reply.value, &ask->why, ask->asker.data)) {
            end(ask, {true, false, TierMiss::kAbsent, {}});
            return true;
        }
        return false;
    case Told::kTooLarge:
        ask->why = TierMiss::kTooLarge;
        return false;
    case Told::kGone:
        miss(ask, TierMiss::kUnreachable);
        return true;
    case Told::kError:
        miss(ask, TierMiss::kError);
        return true;
    default:
        return false;
    }
}

// ---- the value -----------------------------------------------------------------------------------------------

void on_value(const TierReply& reply, void* data) noexcept {
    auto* ask = static_cast<TierAsk*>(data);
    if (!take_reply(ask, reply)) {
        free_if_done(ask);
        return;
    }
    if (has_ended(ask, reply)) {
        return;
    }
    if (ask->wants_lease) {
        take_lease(ask);
    } else {
        miss(ask, ask->why);
    }
}

void read_value(TierAsk* ask) noexcept {
    ask->state = AskState::kReading;
    if (!ask->lane->protocol->get(ask->lane, ask->key.view(), on_value, ask)) {
        miss(ask, TierMiss::kUnreachable);
        return;
    }
    ask->awaited++;
}

// ---- the lease -----------------------------------------------------------------------------------------------

void on_lease(const TierReply& reply, void* data) noexcept {
    auto* ask = static_cast<TierAsk*>(data);
    const bool is_won = reply.told == Told::kWon;
    if (is_won) {
        ask->token = reply.token;
    }
    if (!take_reply(ask, reply)) {
        if (is_won) {
            TierHold hold = hold_of(ask);
            give_back(&hold);
        }
        free_if_done(ask);
        return;
    }
    ask->is_won = is_won;
    ask->has_failed = !is_won && reply.told != Told::kHeld;
}

void on_value_behind(const TierReply& reply, void* data) noexcept {
    auto* ask = static_cast<TierAsk*>(data);
    if (!take_reply(ask, reply)) {
        free_if_done(ask);
        return;
    }
    if (has_ended(ask, reply)) {
        return;
    }
    if (ask->has_failed) {
        miss(ask, TierMiss::kError);
        return;
    }
    if (ask->is_won) {
        count(conf_of(ask)->area, TierFigure::kLeasesWon);
        miss(ask, ask->why);
        return;
    }
    if (!ask->has_waited) {
        count(conf_of(ask)->area, TierFigure::kLeasesLost);
    }
    wait_for_other(ask);
}

void take_lease(TierAsk* ask) noexcept {
    const LaneProtocol* protocol = ask->lane->protocol;
    ask->state = AskState::kLeasing;
    if (ask->lease.size == 0) {
        ask->lease = cache::lease_store_key(view(conf_of(ask)->prefix), ask->key);
    }
    ask->leased_ms = now();
    if (!protocol->acquire(ask->lane, ask->lease.view(), conf_of(ask)->lease, on_lease, ask)) {
        miss(ask, TierMiss::kUnreachable);
        return;
    }
    ask->awaited++;
    if (!protocol->get(ask->lane, ask->key.view(), on_value_behind, ask)) {
        miss(ask, TierMiss::kUnreachable);
        return;
    }
    ask->awaited++;
    arm(ask, conf_of(ask)->timeout);
}

// ---- another machine is at it ----------------------------------------------------------------------------------

ngx_queue_t* bucket_of(TierClient* client, Bytes key) noexcept {
    return &client->waiting[cache::stable_hash(key, 0) % kAskBuckets];
}

void on_watched_value(const TierReply& reply, void* data) noexcept {
    auto* ask = static_cast<TierAsk*>(data);
    if (!take_reply(ask, reply)) {
        free_if_done(ask);
        return;
    }
    (void) has_ended(ask, reply);
}

void on_watched_holder(const TierReply& reply, void* data) noexcept {
    auto* ask = static_cast<TierAsk*>(data);
    if (!take_reply(ask, reply)) {
        free_if_done(ask);
        return;
    }
    if (has_ended(ask, reply)) {
        return;
    }
    if (reply.told != Told::kHeld) {
        take_lease(ask);
        return;
    }
    if (ask->is_changed) {
        wait_for_other(ask);
        return;
    }
    ask->state = AskState::kWaiting;
    arm(ask, kSafetyNetMs);
}

void wait_for_other(TierAsk* ask) noexcept {
    const uint64_t waited = now() - ask->began_ms;
    ask->has_waited = true;
    if (waited >= conf_of(ask)->lease) {
        miss(ask, TierMiss::kWaited);
        return;
    }
    if (!ask->is_listed) {
        ask->is_listed = true;
        ngx_queue_insert_tail(bucket_of(ask->server->client, ask->key.view()), &ask->waiting);
    }
    ask->is_changed = false;
    const auto watch = ask->lane->protocol->watch;
    const uint32_t replies = watch != nullptr ? watch(ask->lane, ask->key.view(), ask->lease.view(), on_watched_value,
                                                      on_watched_holder, ask)
                                              : 0;
    ask->awaited += replies;
    if (replies == 2) {
        ask->state = AskState::kWatching;
        arm(ask, conf_of(ask)->timeout);
        return;
    }
    ask->state = AskState::kWaiting;
    arm(ask, ngx_min(kLongestPauseMs, ngx_max(kFirstPauseMs, static_cast<ngx_msec_t>(waited / 8))));
}

void look_again(TierAsk* ask) noexcept {
    if (now() - ask->began_ms >= conf_of(ask)->lease) {
        miss(ask, TierMiss::kWaited);
    } else if (ask->lane->can_watch) {
        wait_for_other(ask);
    } else {
        take_lease(ask);
    }
}

void on_timer(ngx_event_t* ev) noexcept {
    auto* ask = static_cast<TierAsk*>(ev->data);
    if (ask->state == AskState::kWaiting) {
        look_again(ask);
        return;
    }
    TierServer* server = ask->server;
    miss(ask, TierMiss::kTimeout);
    note_timeout(server);
}

// ---- lanes ---------------------------------------------------------------------------------------------------

template <class Fn>
void each_ask(TierServer* server, Fn fn) noexcept {
    for (ngx_queue_t* q = ngx_queue_head(&server->asks); q != ngx_queue_sentinel(&server->asks);) {
        auto* ask = ngx_queue_data(q, TierAsk, link);
        q = ngx_queue_next(q);
        fn(ask);
    }
}

void on_lane_ready(TierLane* lane) noexcept {
    send_waiting(lane);
    each_ask(static_cast<TierServer*>(lane->owner), [lane](TierAsk* ask) noexcept {
        if (ask->lane == lane && ask->state == AskState::kConnecting) {
            read_value(ask);
        }
    });
}

// Those whose replies will not come have been told.
void on_lane_lost(TierLane* lane, const char*) noexcept {
    drop_waiting(lane);
    each_ask(static_cast<TierServer*>(lane->owner), [lane](TierAsk* ask) noexcept {
        if (ask->lane == lane) {
            miss(ask, TierMiss::kUnreachable);
        }
    });
}

// Of an object, or of its lease.
void on_changed(TierLane* lane, Bytes store_key) noexcept {
    constexpr Bytes kLease = "lease:";
    TierClient* client = static_cast<TierServer*>(lane->owner)->client;
    const Bytes prefix = view(client->conf->prefix);
    char text[sizeof(cache::StoreKey::text)];
    if (base::starts_with(base::slice(store_key, prefix.size()), kLease)) {  // the object's own
        const Bytes rest = base::slice(store_key, prefix.size() + kLease.size());
        if (prefix.size() + rest.size() > sizeof(text)) {
            return;
        }
        ngx_memcpy(text, prefix.data(), prefix.size());
        ngx_memcpy(text + prefix.size(), rest.data(), rest.size());
        store_key = {text, prefix.size() + rest.size()};
    }
    ngx_queue_t* bucket = bucket_of(client, store_key);
    for (ngx_queue_t* q = ngx_queue_head(bucket); q != ngx_queue_sentinel(bucket);) {
        auto* ask = ngx_queue_data(q, TierAsk, waiting);
        q = ngx_queue_next(q);
        if (ask->key.view() != store_key || ask->lane != lane) {
            continue;
        }
        if (ask->state == AskState::kWaiting) {
            wait_for_other(ask);
        } else {
            ask->is_changed = true;
        }
    }
}

}  // namespace

const LaneCalls ask_calls = {on_lane_ready, on_lane_lost, on_changed};

void fail_asks(TierServer* server, TierMiss why) noexcept {
    each_ask(server, [why](TierAsk* ask) noexcept { miss(ask, why); });
}

TierAsk* ask_tier(TierConf* conf, const cache::StoreKey& key, bool wants_lease, const TierAsker& asker,
                  TierMiss* why) noexcept {
    TierClient* client = client_of(conf);
    TierServer* server = client != nullptr ? server_of(client, key) : nullptr;
    *why = TierMiss::kUnreachable;
    if (server != nullptr && circuit_of(server) == Circuit::kOpen) {
        *why = TierMiss::kCircuit;
        server = nullptr;
    }
    TierLane* lane = server != nullptr
                         ? lane_for(server, is_known_large(*client, key.view()) ? Lane::kLarge : Lane::kSmall)
                         : nullptr;
    auto* ask = lane != nullptr && (lane->is_ready || !lane->has_failed)
                    ? static_cast<TierAsk*>(ngx_calloc(sizeof(TierAsk), client->log))
                    : nullptr;
    if (ask == nullptr) {
        count(conf->area, *why);
        return nullptr;
    }
    ask->server = server;
    ask->lane = lane;
    ask->key = key;
    ask->wants_lease = wants_lease;
    ask->asker = asker;
    ask->began_ms = now();
    ask->timer.handler = on_timer;
    ask->timer.data = ask;
    ask->timer.log = client->log;
    ngx_queue_insert_tail(&server->asks, &ask->link);
    arm(ask, conf->timeout);
    if (lane->is_ready && !lane->protocol->get(lane, key.view(), on_value, ask)) {
        be_over(ask);
        free_if_done(ask);
        count(conf->area, *why);
        return nullptr;
    }
    ask->state = lane->is_ready ? AskState::kReading : AskState::kConnecting;
    ask->awaited = lane->is_ready ? 1 : 0;
    return ask;
}

void cancel_ask(TierAsk* ask) noexcept {
    ask->is_left = true;
    if (ask->is_won) {
        TierHold hold = hold_of(ask);
        ask->is_won = false;
        give_back(&hold);
    }
    be_over(ask);
    free_if_done(ask);
}

void give_back(TierHold* hold) noexcept {
    if (!*hold) {
        return;
    }
    TierClient* client = client_of(hold->conf);
    if (client != nullptr && now() < hold->until_ms) {
        TierServer* server = server_of(client, hold->key);
        TierLane* lane = lane_for(server, Lane::kSmall);
        const cache::StoreKey lease = cache::lease_store_key(view(hold->conf->prefix), hold->key);
        (void) lane->protocol->release(lane, lease.view(), hold->token);
    }
    *hold = {};
}

}  // namespace slab_cache::ngx
