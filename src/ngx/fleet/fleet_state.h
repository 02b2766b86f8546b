// ngx/fleet/fleet_state.h — how a zone stands in its fleet, for people: read from the zone, in any worker.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/fleet_area.h"
#include "ngx/fleet/fleet_conf.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {

struct FleetState {
    const cache::FleetArea* area = nullptr;  // nullptr: this worker cannot use the zone
    uint64_t now_ms = 0;
    bool is_connected = false;
    char server_text[64];
    Bytes server;
    uint32_t holder = 0;  // pid; 0: nobody
    cache::FleetPosition position;
    uint64_t lag_ms = 0;      // what was put into the stream so long ago is done here
    uint64_t unheard_ms = 0;  // what anybody purged longer ago is done here
    uint32_t waiting = 0;     // records of the outbox
    uint64_t oldest_ms = 0;   // the first of them waits so long
    uint64_t untold = 0;
};

// False, and no area, where this worker cannot use the zone.
bool read_fleet_state(Zone* zone, FleetState* out) noexcept;
// applied, behind, silent
Bytes node_state_word(const FleetState& state, const cache::FleetNode& node) noexcept;

// One word for each figure, in the API and in metrics.
struct FleetFigure {
    const char* name;
    const char* help;
    const base::Atom<uint64_t>& (*value)(const cache::FleetArea& area) noexcept;
};
#define SLAB_FIGURE(field) \
    [](const cache::FleetArea& a) noexcept -> const base::Atom<uint64_t>& { return a.figures.field; }
inline constexpr FleetFigure kFleetFigures[] = {
    {"applied", "Entries of other nodes and of applications that were purged here.", SLAB_FIGURE(applied)},
    {"own", "Entries of this node that were read back.", SLAB_FIGURE(own)},
    {"published", "Entries that this node put into the stream.", SLAB_FIGURE(published)},
    {"kept", "Invalidations by unsafe requests that others were not told of, being too many.", SLAB_FIGURE(kept)},
    {"readded", "Entries put there again, for the server had lost them.", SLAB_FIGURE(readded)},
    {"unknown_fields", "Fields of entries that were passed over.", SLAB_FIGURE(unknown_fields)},
    {"unreadable", "Entries that could not be read, and put everything in doubt.", SLAB_FIGURE(unreadable)},
    {"blind", "Times that everything was put in doubt, for purges may not have been heard of.", SLAB_FIGURE(blind)},
    {"connects", "Connections made to a server.", SLAB_FIGURE(connects)},
    {"takeovers", "Workers that took the connection over.", SLAB_FIGURE(takeovers)},
};
#undef SLAB_FIGURE

}  // namespace slab_cache::ngx
