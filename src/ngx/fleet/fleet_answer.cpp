#include "ngx/glue/ngx.h"

#include "ngx/fleet/fleet_answer.h"

#include <new>

#include <jansson.h>

#include "http/syntax.h"
#include "ngx/fleet/member.h"
#include "ngx/fleet/nodes.h"
#include "ngx/glue/reply.h"
#include "ngx/zone/user_area.h"
#include "ngx/zone/waiter.h"

namespace slab_cache::ngx {
namespace {

constexpr uint64_t kPublishMs = 100;  // an answer waits so long for the server, unasked
constexpr int64_t kMostWaitSec = 60;
constexpr uint64_t kWatchMs = 500;  // the nodes are asked for so long after somebody looked

struct FleetWait {
    ngx_http_request_t* request;
    Zone* zone;
    Told told;
    FleetAnswerFn fn;
    void* data;
    bool wants_all;
    uint64_t deadline_ms;
    uint64_t taken_ms;  // it was seen then that the server has taken it; 0: not yet
    cache::StreamId id;
    Waiter waiter;
};

// Prefer: wait=2. 0: not asked for.
int64_t preferred_wait(ngx_http_request_t* r) noexcept {
    int64_t sec = 0;
    each_header(r->headers_in.headers, [&](ngx_table_elt_t& h) {
        if (!base::equal_nocase(view(h.key), "Prefer")) {
            return true;
        }
        http::ListReader list(view(h.value));
        Bytes member;
        while (list.next(&member)) {
            const http::Directive d = http::split_directive(base::slice(member, 0, member.find(';')));
            if (base::equal_nocase(http::trim(d.name), "wait")) {
                sec = http::parse_delta(http::trim(http::unquote(d.argument)));
            }
        }
        return true;
    });
    return sec < 0 ? 0 : sec < kMostWaitSec ? sec : kMostWaitSec;
}

json_t* nodes_json(const cache::FleetArea& area, const cache::StreamId& id) noexcept {
    json_t* nodes = json_object();
    for (uint32_t i = 0; i < cache::kFleetNodes; i++) {
        cache::FleetNode node;
        char name[cache::kNodeNameBytes + 1];
        if (cache::read_node(area, i, &node)) {
            ngx_memcpy(name, node.name.data(), node.name.size());
            name[node.name.size()] = '\0';
            json_object_set_new(nodes, name, json_text(node_word(node, id)));
        }
    }
    return nodes;
}

Bytes state_word(FleetState state) noexcept {
    switch (state) {
    case FleetState::kQueued:
        return "queued";
    case FleetState::kPublished:
        return "published";
    case FleetState::kApplied:
        break;
    }
    return "applied";
}

json_t* fleet_json(const FleetWait& w, const cache::FleetArea& area, FleetState state) noexcept {
    json_t* fleet = json_object();
    json_object_set_new(fleet, "state", json_text(state_word(state)));
    if (state != FleetState::kQueued) {
        if (w.id) {
            json_object_set_new(fleet, "position", json_text(cache::StreamIdText(w.id).view()));
        }
        json_object_set_new(fleet, "nodes", nodes_json(area, w.id));
    }
    return fleet;
}

void note_taken(FleetWait* w, const cache::FleetArea& area) noexcept {
    const cache::Outbox outbox(const_cast<cache::OutboxRing*>(&area.outbox));
    if (w->taken_ms == 0 && !w->told.is_missed && outbox.is_sent(w->told.place.number)) {
        w->taken_ms = now_ms();
    }
    if (w->taken_ms != 0) {  // it may be added again, and has another id then; none where its place was needed since
        (void) outbox.id_of(w->told.place, &w->id);
    }
}

// True when there is no more to wait for.
bool look(FleetWait* w, cache::FleetArea* area, FleetState* state) noexcept {
    note_taken(w, *area);
    *state = w->taken_ms == 0 ? FleetState::kQueued : FleetState::kPublished;
    if (*state == FleetState::kPublished && w->wants_all && w->id && is_applied_everywhere(*area, w->id, w->taken_ms)) {
        *state = FleetState::kApplied;
    }
    const bool is_enough = *state == FleetState::kApplied || (*state == FleetState::kPublished && !w->wants_all);
    return is_enough || now_ms() >= w->deadline_ms;
}

ngx_int_t answer(FleetWait* w, const cache::FleetArea& area, FleetState state) noexcept {
    const bool is_done = state == FleetState::kApplied || (state == FleetState::kPublished && !w->wants_all);
    if (w->wants_all && !add_answer_header(w->request, "Preference-Applied", "wait")) {
        return NGX_ERROR;
    }
    return w->fn(w->request, is_done ? NGX_HTTP_OK : NGX_HTTP_ACCEPTED, fleet_json(*w, area, state), w->data);
}

// Registers first, looks then: what changes in between is told to this worker.
bool register_and_look(FleetWait* w, cache::FleetArea* area, FleetState* state) noexcept {
    if (look(w, area, state)) {
        return true;
    }
    const uint32_t self = w->zone->store.worker_index();
    (void) area->waiting[self / 64 % 4].or_seq_cst(uint64_t{1} << self % 64);  // [fleet-waiting]
    if (w->wants_all) {
        const bool is_watched = area->watched_until_ms.load_acquire() > now_ms();  // [fleet-watch]
        cache::raise_ms(&area->watched_until_ms, now_ms() + kWatchMs);             // [fleet-watch]
        if (!is_watched) {
            announce_outbox(w->zone);
        }
    }
    return look(w, area, state);
}

void arm(FleetWait* w) noexcept {
    const uint64_t now = now_ms();
    const uint64_t left = w->deadline_ms > now ? w->deadline_ms - now : 1;
    wait_for(&w->waiter, {kFleetCell, 1}, static_cast<ngx_msec_t>(left));
}

void go_on(void* data) noexcept {
    auto* w = static_cast<FleetWait*>(data);
    ngx_http_request_t* r = w->request;
    ngx_connection_t* c = r->connection;
    cache::FleetArea* area = usable(w->zone) ? fleet_of(w->zone) : nullptr;
    FleetState state = FleetState::kQueued;
    ngx_http_set_log_request(c->log, r);
    if (area == nullptr) {
        ngx_http_finalize_request(r, NGX_HTTP_SERVICE_UNAVAILABLE);
    } else if (register_and_look(w, area, &state)) {
        ngx_http_finalize_request(r, answer(w, *area, state));
    } else {
        arm(w);
        return;
    }
    ngx_http_run_posted_requests(c);
}

void forget(void* data) noexcept { cancel_wait(&static_cast<FleetWait*>(data)->waiter); }

}  // namespace

ngx_int_t answer_when_told(ngx_http_request_t* r, Zone* zone, const Told& told, FleetAnswerFn fn, void* data) noexcept {
    cache::FleetArea* area = fleet_of(zone);
    ngx_pool_cleanup_t* cln = ngx_pool_cleanup_add(r->pool, sizeof(FleetWait));
    if (area == nullptr || cln == nullptr) {
        return NGX_ERROR;
    }
    auto* w = new (cln->data) FleetWait{};
    w->request = r;
    w->zone = zone;
    w->told = told;
    w->fn = fn;
    w->data = data;
    const int64_t wait = preferred_wait(r);
    w->wants_all = wait != 0;
    w->deadline_ms = now_ms() + (w->wants_all ? static_cast<uint64_t>(wait) * 1000 : kPublishMs);
    init_waiter(&w->waiter, zone, r->connection->log, go_on, w);
    cln->handler = forget;
    FleetState state = FleetState::kQueued;
    if (told.is_missed || register_and_look(w, area, &state)) {
        return answer(w, *area, state);
    }
    arm(w);
    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
    return NGX_DONE;
}

}  // namespace slab_cache::ngx
