// ngx/fleet/member.h — one zone's part in its fleet, in one worker.
//
// What        Each worker has one for each zone with fleet=. The one that holds the zone's lease (cache/fleet_area.h) is connected:
//             a reader link waits for entries of the stream and purges what they name (read_stream.h), a writer link publishes
//             what this zone's workers put into the outbox (write_stream.h). Any worker takes the lease over where its holder is
//             gone or silent, and any of them doubts everything where the bound of slab_cache_fleet blind= is reached.
// Lifetime    on the cycle's pool, from start_fleets() to stop_fleets().
// Threading   one worker's event loop.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/fleet_area.h"
#include "ngx/fleet/fleet_conf.h"
#include "ngx/fleet/redis_link.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {

// ---- the reader ----------------------------------------------------------------------------------------------

struct StreamReader {
    RedisLink link;
    bool has_position;
    cache::FleetPosition position;  // up to there all is done
    uint64_t seq;                   // the purge counter that was written with it; 0: it was found in the zone
    uint64_t ended_doubt_ms;        // FleetArea::doubted_ms of the last doubt that is not held against values any more
    cache::FleetPosition reached;   // the last entry of the reply at hand, whose purges are done
    bool has_news;                  // there was one
    bool is_whole;                  // the reply had all there was
    uint32_t batch;                 // entries asked for at once; less where a reply was too large
    uint64_t asked_ms;
    uint64_t nodes_asked_ms;
    bool is_in_gap;     // told of already; counted when it is covered
    cache::Gap gap;     // this one
    bool has_lost_end;  // this gap: the position is gone, and was not trimmed away
    bool has_first;
    cache::StreamId first;  // of the stream's entries, within a gap
    bool was_told;          // the log knows of an error
    bool was_warned;        // of a server that may evict the stream
};

// ---- the writer ----------------------------------------------------------------------------------------------

struct StreamWriter {
    RedisLink link;
    bool is_checked;  // what was published before is still there, or was added again
    bool is_failing;  // an error came: what is under way is sent again
    bool is_telling;  // that others are to doubt
    uint64_t telling;
    uint64_t cursor;  // offset in the outbox: sent up to there
    uint32_t under_way;
    uint64_t retry_ms;
    cache::StreamId first;  // of the stream's entries
    uint32_t checking;      // replies awaited
    uint32_t readding;      // XADDs of what was lost, not answered yet; more than that after a failure
    uint32_t found;         // of the records asked for
    uint64_t lost_at;       // behind those that were found, the oldest that was not; kNothingLost
    bool was_told;
};

struct FleetMember {
    Zone* zone;
    FleetConf* conf;
    cache::FleetArea* area;
    uint64_t self;  // this worker, as the lease has it
    uint64_t epoch;
    bool is_holder;
    bool publishes_only;  // this worker exits: it reads nothing, and stands for no node
    bool is_blind;        // the log was told
    ngx_uint_t ticks;
    ngx_uint_t free_ticks;  // nobody held the lease so long
    ngx_event_t tick;
    ngx_event_t pump;      // posted: publish
    ngx_event_t watch;     // nodes.h: watch_nodes()
    bool is_asking_nodes;  // on the writer's link
    uint64_t watch_asked_ms;
    int64_t server_ahead_ms;  // the server's clock over ours, at least
    bool knows_server_clock;
    int64_t told_sec;  // invalidations told within that second
    uint32_t told;
    char from[16];  // this zone as the stream's entries name it
    StreamReader reader;
    StreamWriter writer;
};

inline Bytes from_of(const FleetMember& m) noexcept { return {m.from, sizeof(m.from)}; }

void start_fleets(ngx_cycle_t* cycle) noexcept;
void stop_fleets(ngx_cycle_t* cycle) noexcept;
// Connections of theirs, beside worker_connections.
void reserve_fleet_connections(ngx_cycle_t* cycle) noexcept;
// In the master, before the workers of a configuration begin.
void count_fleet_cycle(ngx_cycle_t* cycle) noexcept;
// The workers of a later configuration go on in this one's place.
bool has_successor(const FleetMember& m) noexcept;

// Still the holder; if not, its links are stopped. To be asked before something is written that only the holder writes.
bool is_holder_still(FleetMember* m) noexcept;

// Something was put into the outbox, by this worker: the holder is told.
void announce_outbox(Zone* zone) noexcept;
// Those who wait for news (fleet_answer.h) look again, in all workers.
void wake_waiting(FleetMember* m) noexcept;

// The server's clock now, or a little less; 0: not known yet.
uint64_t server_ms(const FleetMember& m) noexcept;

}  // namespace slab_cache::ngx
