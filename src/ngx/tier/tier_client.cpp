#include "ngx/glue/ngx.h"

#include "ngx/tier/tier_client.h"

#include "cache/key.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_uint_t kTimeoutsWithinMs = 1000;
constexpr ngx_uint_t kProbeEveryMs = 1000;
constexpr size_t kSmallOut = 1024 * 1024;
constexpr size_t kLargeOut = 16 * 1024 * 1024;

uint64_t now() noexcept { return static_cast<uint64_t>(ngx_current_msec); }

TierClient* make_client(TierConf* conf) noexcept {
    ngx_log_t* log = ngx_cycle->log;
    const ngx_uint_t n = conf->servers.nelts;
    auto* client = static_cast<TierClient*>(ngx_calloc(sizeof(TierClient), log));
    auto* servers = static_cast<TierServer*>(ngx_calloc(n * sizeof(TierServer), log));
    if (client == nullptr || servers == nullptr) {
        ngx_free(client);
        ngx_free(servers);
        return nullptr;
    }
    client->conf = conf;
    client->server = servers;
    client->servers = n;
    client->log = log;
    for (ngx_queue_t& bucket : client->waiting) {
        ngx_queue_init(&bucket);
    }
    for (ngx_uint_t i = 0; i < n; i++) {
        TierServer* s = &servers[i];
        s->client = client;
        s->peers = static_cast<Peers*>(conf->servers.elts) + i;
        ngx_queue_init(&s->asks);
        for (ngx_uint_t l = 0; l < kLanes; l++) {
            ngx_queue_init(&s->puts[l]);
            TierLane* lane = &s->lane[l];
            lane->protocol = conf->kind == TierKind::kRedis ? &redis_lane : &memcached_lane;
            lane->calls = &ask_calls;
            lane->conf = conf;
            lane->peers = s->peers;
            lane->owner = s;
            lane->max_value = conf->max_object;
            lane->max_out = l == static_cast<ngx_uint_t>(Lane::kSmall) ? kSmallOut : kLargeOut + conf->max_object;
            lane->log = log;
        }
    }
    return client;
}

uint32_t place_of(Bytes key) noexcept { return static_cast<uint32_t>(cache::stable_hash(key, 0)) % kKnownSizes; }

}  // namespace

TierClient* client_of(TierConf* conf) noexcept {
    if (conf->client == nullptr && !ngx_exiting && !ngx_terminate) {
        conf->client = make_client(conf);
    }
    return conf->client;
}

TierServer* server_of(TierClient* client, const cache::StoreKey& key) noexcept {
    const auto n = static_cast<uint32_t>(client->servers);
    return &client->server[cache::tier_server(client->conf->server_names, n, key.view())];
}

TierLane* lane_for(TierServer* server, Lane which) noexcept {
    TierLane* lane = &server->lane[static_cast<size_t>(which)];
    if (!lane->is_started) {
        lane->is_started = true;
        lane->protocol->start(lane);
    }
    return lane;
}

bool is_known_large(const TierClient& client, Bytes key) noexcept {
    const uint32_t at = place_of(key);
    return (client.large[at / 8] >> at % 8 & 1) != 0;
}

void know_size(TierClient* client, Bytes key, size_t bytes) noexcept {
    const uint32_t at = place_of(key);
    const auto bit = static_cast<uint8_t>(1U << at % 8);
    if (bytes > kSmallValue) {
        client->large[at / 8] |= bit;
    } else {
        client->large[at / 8] &= static_cast<uint8_t>(~bit);
    }
}

Circuit circuit_of(TierServer* server) noexcept {
    if (!server->is_open) {
        return Circuit::kClosed;
    }
    if (now() < server->next_probe_ms) {
        return Circuit::kOpen;
    }
    server->next_probe_ms = now() + kProbeEveryMs;
    server->client->conf->area->open_until_ms.store_relaxed(now() + 2 * kProbeEveryMs);
    return Circuit::kProbe;
}

void note_answer(TierServer* server) noexcept {
    if (!server->is_open) {
        return;
    }
    server->is_open = false;
    server->timeouts = 0;
    server->client->conf->area->open_until_ms.store_relaxed(0);
    ngx_log_error(NGX_LOG_NOTICE, server->client->log, 0, "%V: %V answers again", &server->peers->label,
                  &static_cast<Peer*>(server->peers->list.elts)->text);
}

void note_timeout(TierServer* server) noexcept {
    count(server->client->conf->area, TierFigure::kTimeouts);
    if (server->is_open) {
        return;
    }
    // The oldest of the last three lies where the newest goes.
    uint64_t* slot = &server->timed_out_ms[server->timeouts % kTimeoutsToOpen];
    const bool is_third = server->timeouts + 1 >= kTimeoutsToOpen;
    server->timeouts++;
    *slot = now();
    const uint64_t first = server->timed_out_ms[server->timeouts % kTimeoutsToOpen];
    if (!is_third || now() - first > kTimeoutsWithinMs) {
        return;
    }
    server->is_open = true;
    server->next_probe_ms = now() + kProbeEveryMs;
    server->client->conf->area->open_until_ms.store_relaxed(now() + 2 * kProbeEveryMs);
    count(server->client->conf->area, TierFigure::kCircuits);
    ngx_log_error(NGX_LOG_WARN, server->client->log, 0, "%V: %V does not answer in time, the origin is asked instead",
                  &server->peers->label, &static_cast<Peer*>(server->peers->list.elts)->text);
    fail_asks(server, TierMiss::kCircuit);
}

void stop_tiers(ngx_cycle_t* cycle) noexcept {
    if (cycle->conf_ctx[ngx_http_module.index] == nullptr) {
        return;
    }
    const auto* mcf = static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_slab_cache_module));
    for (ngx_uint_t i = 0; mcf != nullptr && i < mcf->tiers.nelts; i++) {
        TierClient* client = static_cast<TierConf**>(mcf->tiers.elts)[i]->client;
        for (ngx_uint_t s = 0; client != nullptr && s < client->servers; s++) {
            for (TierLane& lane : client->server[s].lane) {
                if (lane.is_started) {
                    lane.protocol->stop(&lane);
                }
            }
        }
    }
}

}  // namespace slab_cache::ngx
