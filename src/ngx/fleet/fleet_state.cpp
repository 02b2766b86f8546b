#include "ngx/glue/ngx.h"

#include "ngx/fleet/fleet_state.h"

#include "ngx/fleet/nodes.h"
#include "ngx/zone/user_area.h"
#include "shm/worker.h"

namespace slab_cache::ngx {
namespace {

uint64_t since(uint64_t now, uint64_t then) noexcept { return now > then ? now - then : 0; }

// What is surely done here: the least of our own reading and what the other nodes had published.
uint64_t sure_until(const cache::FleetArea& area) noexcept {
    uint64_t sure = area.clear_ms.load_acquire();  // [fleet-ms]
    for (uint32_t i = 0; i < cache::kFleetNodes; i++) {
        cache::FleetNode node;
        if (cache::read_node(area, i, &node)) {
            sure = ngx_min(sure, node.clear_ms);
        }
    }
    return sure;
}

}  // namespace

bool read_fleet_state(Zone* zone, FleetState* out) noexcept {
    *out = {};
    cache::FleetArea* area = usable(zone) ? fleet_of(zone) : nullptr;
    if (area == nullptr) {
        return false;
    }
    const cache::Outbox outbox(&area->outbox);
    out->area = area;
    out->now_ms = now_ms();
    const uint64_t owner = area->lease.owner.load_acquire();  // [fleet-lease]
    const bool is_held = owner != 0 && since(out->now_ms, area->lease.heartbeat_ms.load_acquire()) <=
                                           cache::kLeaseSilenceMs;  // [fleet-lease]
    out->holder = is_held ? shm::identity_of(owner).pid : 0;
    out->is_connected = is_held && area->connected.load_acquire() != 0;
    out->server = cache::get_text(area->server, 8, out->server_text);
    (void) cache::read_position(*area, &out->position);
    out->lag_ms = since(out->now_ms, area->clear_ms.load_acquire());  // [fleet-ms]
    out->unheard_ms = since(out->now_ms, sure_until(*area));
    out->waiting = outbox.waiting();
    const uint64_t oldest = outbox.oldest_ms();
    out->oldest_ms = oldest != 0 ? since(out->now_ms, oldest) : 0;
    out->untold = outbox.untold();
    return true;
}

Bytes node_state_word(const FleetState& state, const cache::FleetNode& node) noexcept {
    return node.state == cache::NodeState::kSilent ? Bytes("silent") : node_word(node, state.position.id);
}

}  // namespace slab_cache::ngx
