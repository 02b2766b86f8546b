#include "ngx/glue/ngx.h"

#include "ngx/zone/validity.h"

#include "cache/url.h"

namespace slab_cache::ngx {
namespace {

// By the records themselves, not by the counter: a rule may just have been replaced by a purge that is not published yet.
shm::Validity judge_again(Zone* zone, const shm::Pin& pin) noexcept {
    uint32_t count = 0;
    const uint64_t* selectors = shm::Store::selectors(pin, &count);
    return zone->store.validity_of(selectors, count, shm::Store::birth(pin));
}

}  // namespace

shm::Validity validity_with_globs(Zone* zone, const UrlOf& where, const shm::Pin& pin) noexcept {
    const UserArea* area = user_area(zone);
    cache::Url url;
    if (area == nullptr) {
        return zone->store.validity(pin);
    }
    if (!cache::split_url(arena_of(where.pool), where.host, where.uri, &url)) {
        return shm::Validity::kPurged;
    }
    const uint64_t newest = area->globs.newest.load_acquire();  // [glob-newest] before the rules
    cache::Judged object{url.host, url.path, url.args};
    object.selector = shm::Store::selectors(pin, &object.selectors);
    switch (cache::judge_globs(area->globs, object, shm::Store::birth(pin))) {
    case cache::GlobAnswer::kHard:
        return shm::Validity::kPurged;
    case cache::GlobAnswer::kSoft:
        switch (const shm::Validity validity = judge_again(zone, pin)) {
        case shm::Validity::kPurged:
        case shm::Validity::kDoubted:
            return validity;
        case shm::Validity::kSoftPurged:
        case shm::Validity::kValid:
            break;
        }
        return shm::Validity::kSoftPurged;
    case cache::GlobAnswer::kNone:
        break;
    }
    // After the rules: one that went while they were read has purged its host before.
    const shm::Validity validity = judge_again(zone, pin);
    if (validity == shm::Validity::kValid) {
        (void) zone->store.refresh(pin, shm::Store::fresh_until(pin), shm::Store::stale_until(pin), newest);
    }
    return validity;
}

bool is_valid_since(Zone* zone, const UrlOf& where, const cache::SelectorList& selectors, uint64_t birth) noexcept {
    if (zone->priors != 0 && is_behind_on_globs(*zone)) {
        import_globs(zone);
    }
    cache::Url url;
    if (!cache::split_url(arena_of(where.pool), where.host, where.uri, &url)) {
        return false;
    }
    // Rules first: one that went while they were read has purged its host before.
    const UserArea* area = user_area(zone);
    const bool by_rule =
        area != nullptr &&
        cache::judge_globs(area->globs, {url.host, url.path, url.args, selectors.data(), selectors.size()}, birth) !=
            cache::GlobAnswer::kNone;
    return !by_rule && zone->store.validity_of(selectors.data(), selectors.size(), birth) == shm::Validity::kValid;
}

}  // namespace slab_cache::ngx
