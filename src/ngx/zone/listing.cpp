#include "ngx/glue/ngx.h"

#include "ngx/zone/listing.h"

#include "cache/key.h"
#include "cache/url.h"
#include "ngx/glue/clock.h"
#include "ngx/zone/user_area.h"

namespace slab_cache::ngx {
namespace {

constexpr uint64_t kBytesPerObject = 4096;  // shm::Config::objects: where it is not given
constexpr uint64_t kLeastPerObject = 1024;  // a sixty-fourth of the zone is enough
constexpr uint64_t kEpochMs = 120 * 1000;
constexpr uint64_t kWalkTurnUs = 1000;
constexpr ngx_msec_t kWalkPauseMs = 100;  // a hundredth of one worker's time at most
constexpr uint32_t kWalkSlice = 64;       // buckets between two looks at the clock

// Whether this process has joined the zone or not.
cache::UrlFilter filter_in(Zone* zone) noexcept {
    UserArea* area = user_area(zone);
    const uint32_t others = kUserAreaBytes + fleet_bytes(*zone);
    if (area == nullptr || zone->config.user_bytes <= others) {
        return {};
    }
    return {&area->listed, reinterpret_cast<char*>(area) + kUserAreaBytes, zone->config.user_bytes - others};
}

cache::UrlFilter filter_of(Zone* zone) noexcept { return usable(zone) ? filter_in(zone) : cache::UrlFilter{}; }

void list_entry(const shm::Pin& pin, void* data) noexcept {
    const auto* filter = static_cast<const cache::UrlFilter*>(data);
    uint32_t count = 0;
    const uint64_t* selectors = shm::Store::selectors(pin, &count);
    for (uint32_t i = 0; i < count; i++) {  // which of them are URLs is not known; most of the others are few
        (void) filter->list(selectors[i]);
    }
}

void on_walk(ngx_event_t* ev) noexcept {
    auto* zone = static_cast<Zone*>(ev->data);
    cache::UrlFilter filter = filter_of(zone);
    if (!filter) {
        return;
    }
    user_area(zone)->listed.walked_ms.store_relaxed(now_ms());
    const uint64_t start = clock_us();
    do {
        if (!zone->store.visit(&zone->walk_cursor, kWalkSlice, list_entry, &filter)) {
            return;  // an object was left out: the epoch lasts until another walk
        }
        if (zone->walk_cursor == 0) {
            filter.end_epoch(zone->walk_epoch);
            return;
        }
    } while (clock_us() - start < kWalkTurnUs);
    if (!ngx_exiting && !ngx_terminate) {
        ngx_add_timer(ev, kWalkPauseMs);
    }
}

}  // namespace

uint32_t filter_bytes(const Zone& zone) noexcept {
    const uint64_t objects = zone.config.objects != 0 ? zone.config.objects : zone.size / kBytesPerObject;
    return cache::UrlFilter::bytes_for(ngx_min(objects, zone.size / kLeastPerObject));
}

void begin_listing(Zone* zone) noexcept {
    if (UserArea* area = user_area(zone)) {
        cache::UrlFilter(&area->listed, nullptr, 0).begin_empty();
    }
}

void list_under_way(Zone* zone, Listed* listed, ngx_pool_t* pool, Bytes host, Bytes uri,
                    const shm::Pin& stale) noexcept {
    const cache::UrlFilter filter = filter_of(zone);
    cache::Url url;
    if (!filter || !cache::split_url(arena_of(pool), host, uri, &url)) {
        return;
    }
    listed->selector = cache::url_selector(url, zone->store.secret());
    listed->epoch = filter.list(listed->selector);
    if (stale) {  // under a key of several URLs it may have been another one's
        list_entry(stale, const_cast<cache::UrlFilter*>(&filter));
    }
}

bool is_listed_still(Zone* zone, Listed* listed) noexcept {
    const cache::UrlFilter filter = filter_of(zone);
    if (!filter || listed->epoch == filter.epoch()) {
        return true;
    }
    const uint32_t now = filter.list(listed->selector);
    const bool still = filter.is_current(listed->epoch);
    listed->epoch = still ? now : listed->epoch;
    return still;
}

void list_url(Zone* zone, uint64_t selector) noexcept {
    if (const cache::UrlFilter filter = filter_of(zone)) {
        (void) filter.list(selector);
    }
}

bool may_be_stored(Zone* zone, uint64_t selector) noexcept {
    const cache::UrlFilter filter = filter_of(zone);
    return !filter || zone->store.has_open_prior() || filter.is_listed(selector);
}

bool has_successor(Zone* zone) noexcept {
    const cache::UrlFilter filter = filter_of(zone);
    return filter && filter.lists_all();
}

void take_over_unheard(Zone* zone, Zone* old) noexcept {
    const cache::UrlFilter to = filter_in(zone);
    const cache::UrlFilter from = filter_in(old);
    if (to && from) {
        to.copy_unheard(from);
    }
}

void add_unheard(Zone* zone, uint64_t selector) noexcept {
    const cache::UrlFilter filter = filter_of(zone);
    if (!filter) {
        return;
    }
    (void) filter.add_unheard(selector, zone->store.purge_seq());
}

bool is_unheard_since(Zone* zone, uint64_t selector, uint64_t purge_seq) noexcept {
    const cache::UrlFilter filter = filter_of(zone);
    return filter && filter.is_unheard_since(selector, purge_seq);
}

void note_push(Zone* zone, uint64_t selector, uint64_t birth) noexcept {
    if (UserArea* area = user_area(zone)) {
        cache::note_push(&area->pushed, selector, birth);
    }
}

bool is_pushed_since(Zone* zone, uint64_t selector, uint64_t asked) noexcept {
    const UserArea* area = user_area(zone);
    return area != nullptr && cache::is_pushed_since(area->pushed, selector, asked);
}

uint32_t unheard_count(Zone* zone, uint64_t selector) noexcept {
    const cache::UrlFilter filter = filter_of(zone);
    return filter ? filter.unheard_count(selector) : 0;
}

void list_all_under_way(Zone* zone) noexcept {
    for (ngx_queue_t* q = ngx_queue_head(&zone->under_way); q != ngx_queue_sentinel(&zone->under_way);
         q = ngx_queue_next(q)) {
        (void) is_listed_still(zone, ngx_queue_data(q, Listed, link));
    }
}

void start_walking(Zone* zone, ngx_log_t* log) noexcept {
    zone->walking.handler = on_walk;
    zone->walking.data = zone;
    zone->walking.log = log;
    zone->walking.cancelable = 1;
}

void walk_if_due(Zone* zone) noexcept {
    const cache::UrlFilter filter = filter_of(zone);
    if (!filter || zone->walking.timer_set) {
        return;
    }
    auto& walked_ms = user_area(zone)->listed.walked_ms;
    uint64_t seen = walked_ms.load_relaxed();
    if (now_ms() - seen < kEpochMs || !walked_ms.cas_acq_rel(seen, now_ms())) {  // 0 - 1 is long ago
        return;
    }
    zone->walk_epoch = filter.epoch();
    zone->walk_cursor = 0;
    on_walk(&zone->walking);
}

}  // namespace slab_cache::ngx
