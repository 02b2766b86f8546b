#include "ngx/glue/ngx.h"

#include "ngx/tier/tier_put.h"

#include "ngx/tier/tier_client.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMostWaiting = 8 * 1024 * 1024;  // bytes, of a server
constexpr uint64_t kMostTtlSec = 30 * 86400;      // memcached takes more for a date

struct WaitingPut {
    ngx_queue_t link;
    TierPut put;
    TierHold hold;
};

// What the reply to a value is held against.
struct SentPut {
    TierLane* lane;
    cache::StoreKey key;
};

ngx_queue_t* waiting_of(TierLane* lane) noexcept {
    auto* server = static_cast<TierServer*>(lane->owner);
    return &server->puts[lane - server->lane];
}

void on_put(const TierReply& reply, void* data) noexcept {
    auto* sent = static_cast<SentPut*>(data);
    TierLane* lane = sent->lane;
    TierArea* area = lane->conf->area;
    switch (reply.told) {
    case Told::kDone:
        count(area, TierFigure::kWrites);
        break;
    case Told::kGone:
        break;
    case Told::kTooLarge:
        count(area, TierFigure::kTooLarge);
        [[fallthrough]];
    default:
        if (lane->protocol->remove(lane, sent->key.view())) {
            count(area, TierFigure::kDeletes);
        }
    }
    ngx_free(sent);
}

void give_back_over(TierLane* lane, TierHold* hold) noexcept {
    if (*hold && static_cast<uint64_t>(ngx_current_msec) < hold->until_ms) {
        const cache::StoreKey lease = cache::lease_store_key(view(hold->conf->prefix), hold->key);
        (void) lane->protocol->release(lane, lease.view(), hold->token);
    }
    *hold = {};
}

void finish(TierPut* put, u_char* end, TierHold* hold) noexcept {
    auto* sent = static_cast<SentPut*>(ngx_alloc(sizeof(SentPut), put->lane->log));
    if (sent != nullptr) {
        *sent = {put->lane, put->key};
    }
    put->lane->protocol->put_end(put->lane, end, sent != nullptr ? on_put : nullptr, sent);
    give_back_over(put->lane, hold);
}

void free_waiting(WaitingPut* waiting) noexcept {
    static_cast<TierServer*>(waiting->put.lane->owner)->put_bytes -= waiting->put.size;
    ngx_queue_remove(&waiting->link);
    ngx_free(waiting->put.waiting);
    ngx_free(waiting);
}

}  // namespace

bool begin_put(TierConf* conf, const cache::StoreKey& key, size_t size, uint64_t ttl_sec, TierPut* put) noexcept {
    TierClient* client = client_of(conf);
    if (client == nullptr) {
        return false;
    }
    TierServer* server = server_of(client, key);
    if (server->is_open) {
        return false;
    }
    TierLane* lane = lane_for(server, size > kSmallValue ? Lane::kLarge : Lane::kSmall);
    know_size(client, key.view(), size);
    *put = {conf, server, lane, key, size, ngx_min(ttl_sec, kMostTtlSec), nullptr, nullptr};
    if (lane->is_ready) {
        put->at = lane->protocol->put_begin(lane, key.view(), size, put->ttl_sec);
        return put->at != nullptr;
    }
    if (lane->has_failed || server->put_bytes + size > kMostWaiting) {
        return false;
    }
    put->at = put->waiting = static_cast<u_char*>(ngx_alloc(size, lane->log));
    return put->at != nullptr;
}

void end_put(TierPut* put, TierHold* hold) noexcept {
    if (put->waiting == nullptr) {
        finish(put, put->at + put->size, hold);
        return;
    }
    auto* waiting = static_cast<WaitingPut*>(ngx_alloc(sizeof(WaitingPut), put->lane->log));
    if (waiting == nullptr) {
        ngx_free(put->waiting);
        give_back(hold);
        return;
    }
    waiting->put = *put;
    waiting->hold = *hold;
    *hold = {};
    put->server->put_bytes += put->size;
    ngx_queue_insert_tail(waiting_of(put->lane), &waiting->link);
}

void send_waiting(TierLane* lane) noexcept {
    ngx_queue_t* all = waiting_of(lane);
    while (!ngx_queue_empty(all)) {
        auto* waiting = ngx_queue_data(ngx_queue_head(all), WaitingPut, link);
        TierPut* put = &waiting->put;
        u_char* at = lane->protocol->put_begin(lane, put->key.view(), put->size, put->ttl_sec);
        if (at != nullptr) {
            finish(put, ngx_cpymem(at, put->waiting, put->size), &waiting->hold);
        } else {
            give_back(&waiting->hold);
        }
        free_waiting(waiting);
    }
}

void drop_waiting(TierLane* lane) noexcept {
    ngx_queue_t* all = waiting_of(lane);
    while (!ngx_queue_empty(all)) {
        auto* waiting = ngx_queue_data(ngx_queue_head(all), WaitingPut, link);
        give_back(&waiting->hold);
        free_waiting(waiting);
    }
}

void delete_value(TierConf* conf, const cache::StoreKey& key) noexcept {
    TierClient* client = client_of(conf);
    TierServer* server = client != nullptr ? server_of(client, key) : nullptr;
    if (server == nullptr || server->is_open) {
        return;
    }
    TierLane* lane = lane_for(server, Lane::kSmall);
    if (lane->protocol->remove(lane, key.view())) {
        count(conf->area, TierFigure::kDeletes);
    }
}

}  // namespace slab_cache::ngx
