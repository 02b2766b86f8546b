#include "ngx/glue/ngx.h"

#include "ngx/zone/waiter.h"

#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

void unlink(Waiter* waiter) noexcept {
    if (waiter->linked) {
        ngx_queue_remove(&waiter->link);
        waiter->linked = false;
    }
}

void on_event(ngx_event_t* ev) noexcept {
    auto* waiter = static_cast<Waiter*>(ev->data);
    ev->timedout = 0;
    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
    unlink(waiter);
    waiter->resume(waiter->data);
}

}  // namespace

void init_waiter(Waiter* waiter, Zone* zone, ngx_log_t* log, void (*resume)(void*), void* data) noexcept {
    ngx_memzero(waiter, sizeof(*waiter));
    waiter->event.handler = on_event;
    waiter->event.data = waiter;
    waiter->event.log = log;
    waiter->zone = zone;
    waiter->resume = resume;
    waiter->data = data;
}

void wait_for(Waiter* waiter, const shm::Ticket& ticket, ngx_msec_t timeout_ms) noexcept {
    unlink(waiter);
    if (ticket) {
        waiter->cell = ticket.cell;
        ngx_queue_insert_tail(&waiter->zone->waiters[ticket.cell % kWaiterBuckets], &waiter->link);
        waiter->linked = true;
    }
    ngx_add_timer(&waiter->event, timeout_ms < kSafetyNetMs ? timeout_ms : kSafetyNetMs);
}

void post_waiter(Waiter* waiter) noexcept {
    if (waiter->event.handler != nullptr && !waiter->event.posted) {
        ngx_post_event(&waiter->event, &ngx_posted_events);
    }
}

void cancel_wait(Waiter* waiter) noexcept {
    unlink(waiter);
    if (waiter->event.timer_set) {
        ngx_del_timer(&waiter->event);
    }
    if (waiter->event.posted) {
        ngx_delete_posted_event(&waiter->event);
    }
}

namespace {

void post_bucket(ngx_queue_t* bucket, uint32_t cell) noexcept {
    for (ngx_queue_t* q = ngx_queue_head(bucket); q != ngx_queue_sentinel(bucket); q = ngx_queue_next(q)) {
        Waiter* waiter = ngx_queue_data(q, Waiter, link);
        if (cell == kAllCells || waiter->cell == cell) {
            post_waiter(waiter);
        }
    }
}

}  // namespace

bool has_waiters(const Zone* zone, uint32_t cell) noexcept {
    const ngx_queue_t* bucket = &zone->waiters[cell % kWaiterBuckets];
    for (const ngx_queue_t* q = ngx_queue_head(bucket); q != ngx_queue_sentinel(bucket); q = ngx_queue_next(q)) {
        const Waiter* waiter = ngx_queue_data(const_cast<ngx_queue_t*>(q), Waiter, link);
        if (waiter->cell == cell) {
            return true;
        }
    }
    return false;
}

void post_waiters(Zone* zone, uint32_t cell) noexcept {
    if (cell != kAllCells) {
        post_bucket(&zone->waiters[cell % kWaiterBuckets], cell);
        return;
    }
    for (ngx_queue_t& bucket : zone->waiters) {
        post_bucket(&bucket, cell);
    }
}

}  // namespace slab_cache::ngx
