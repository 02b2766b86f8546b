#include "ngx/glue/ngx.h"

#include "ngx/fill/fetch.h"

#include "ngx/fill/tier_write.h"
#include "ngx/request/cache_key.h"
#include "ngx/zone/hit_for_miss.h"

namespace slab_cache::ngx {

void begin_fill(Fill* fill, const Ctx* ctx, ngx_http_request_t* r) noexcept {
    fill->request = r;
    fill->conf = ctx->conf;
    fill->zone = ctx->zone;
    fill->primary = ctx->primary;
    fill->digest = ctx->digest;
    fill->identity = ctx->identity;
    if (ctx->part.is_asked()) {
        fill->slice = ctx->part.range;
    }
    fill->kind = mark_kind(ctx->request);
    fill->marks_nothing = ctx->marks_nothing;
    fill->started_sec = now_sec();
    fill->started_ms = now_ms();
    fill->expected = -1;
    ngx_queue_init(&fill->listed.link);
}

void give_back(Zone* zone, const shm::Ticket& lease) noexcept {
    if (lease) {
        shm::WakeSet wake;
        zone->store.lease_release(lease, shm::LeaseState::kPublished, 0, &wake);
        wake_workers(zone, wake, lease.cell);
    }
}

void end_lease(Fetch* fetch, shm::LeaseState outcome, uint32_t detail) noexcept {
    leave_tier(fetch);
    if (!fetch->ticket) {
        return;
    }
    shm::WakeSet wake;
    const uint32_t cell = fetch->ticket.cell;
    if (outcome == shm::LeaseState::kPublished && fetch->published_ref != 0 && !fetch->is_lease_moved) {
        detail = answer_id(fetch->published_ref);
    }
    fetch->zone->store.lease_release(fetch->ticket, outcome, detail, &wake);
    fetch->ticket = {};
    wake_workers(fetch->zone, wake, cell);
}

namespace {

// Where the key is asked for, and where what answers it lies: of several variants the two differ.
void clear_marks(const Fetch* fetch) noexcept {
    clear_uncacheable(fetch->zone, mark_digest(fetch->digest, fetch->identity, fetch->kind));
    if (!(fetch->digest == fetch->primary)) {
        clear_uncacheable(fetch->zone, mark_digest(fetch->primary, fetch->identity, fetch->kind));
    }
}

}  // namespace

shm::Status publish(Fetch* fetch, Listed* listed) noexcept {
    shm::Store& store = fetch->zone->store;
    const uint64_t asked = fetch->asked != 0 ? fetch->asked : fetch->birth;
    const bool is_outdated =
        !is_listed_still(fetch->zone, listed) || is_pushed_since(fetch->zone, listed->selector, asked);
    const uint32_t ref = fetch->writer.ref;
    shm::Pin object = fetch->tier != nullptr ? store.pin_writer(fetch->writer) : shm::Pin{};
    const shm::Status status = store.commit(&fetch->writer, now_sec(), is_outdated);
    fetch->published_ref = status == shm::Status::kOk ? ref : 0;
    if (status == shm::Status::kOk) {
        clear_marks(fetch);
    }
    if (object && status == shm::Status::kOk) {
        write_to_tier(fetch, object);
    }
    store.unpin(&object);
    return status;
}

}  // namespace slab_cache::ngx
