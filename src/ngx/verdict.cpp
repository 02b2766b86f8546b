#include "ngx/ngx.h"

#include "ngx/verdict.h"

#include "cache/key.h"
#include "ngx/selection.h"
#include "ngx/tags.h"

namespace slab_cache::ngx {
namespace {

shm::PurgeMode mode_of(bool soft) noexcept {
    return soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard;
}

void purge_host(Bytes host, bool soft, void* data) noexcept {
    auto* zone = static_cast<Zone*>(data);
    const uint64_t selector = cache::host_selector(host, zone->store.secret());
    (void) zone->store.purge(&selector, 1, mode_of(soft));
}

}  // namespace

shm::Validity verdict_with_globs(Zone* zone, const UrlOf& where, const shm::Pin& pin) noexcept {
    const UserArea* area = user_area(zone);
    cache::Url url;
    if (area == nullptr) {
        return zone->store.validity(pin);
    }
    if (!split_url(where.pool, where.host, where.uri, &url)) {
        return shm::Validity::kPurged;
    }
    const uint64_t newest = area->globs.newest.load_acquire();  // [glob-newest] before the rules
    switch (cache::judge_globs(area->globs, url.host, url.path, url.args, shm::Store::birth(pin))) {
    case cache::GlobAnswer::kHard:
        return shm::Validity::kPurged;
    case cache::GlobAnswer::kSoft:
        return zone->store.validity(pin) == shm::Validity::kPurged ? shm::Validity::kPurged
                                                                  : shm::Validity::kSoftPurged;
    case cache::GlobAnswer::kNone:
        break;
    }
    // After the rules: one that went while they were read has purged its host before.
    const shm::Validity validity = zone->store.validity(pin);
    if (validity == shm::Validity::kValid) {
        (void) zone->store.refresh(pin, shm::Store::fresh_until(pin), shm::Store::stale_until(pin), newest);
    }
    return validity;
}

void purge_globs(Selection* s, uint64_t seq) noexcept {
    UserArea* area = user_area(s->zone);
    for (uint32_t i = 0; i < s->glob_count; i++) {
        const cache::Glob glob{s->glob[i].host, s->glob[i].pattern, s->soft};
        if (area == nullptr || !cache::add_glob(&area->globs, glob, seq, now_ms(), purge_host, s->zone)) {
            purge_host(glob.host, s->soft, s->zone);
        }
    }
}

}  // namespace slab_cache::ngx
