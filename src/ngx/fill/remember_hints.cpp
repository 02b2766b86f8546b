#include "ngx/glue/ngx.h"

#include "ngx/fill/remember_hints.h"

#include "cache/key.h"
#include "cache/variant_marker.h"
#include "http/early_hints.h"
#include "ngx/request/identity.h"
#include "ngx/zone/validity.h"

namespace slab_cache::ngx {
namespace {

constexpr int64_t kHintsSec = 7 * 24 * 3600;

// Written again all the same when a seventh of its time is over.
bool is_same(const shm::Pin& pin, const shm::NewEntry& what) noexcept {
    uint32_t n = 0;
    const uint64_t* selectors = shm::Store::selectors(pin, &n);
    return shm::Store::head(pin) == what.head && n == what.selector_count &&
           std::memcmp(selectors, what.selectors, n * sizeof(uint64_t)) == 0 &&
           shm::Store::stale_until(pin) > what.stale_until_sec - kHintsSec / 7;
}

bool store_hints(shm::Store* store, const shm::NewEntry& what) noexcept {
    shm::Writer writer;
    const bool done = store->begin(what, now_sec(), &writer) == shm::Status::kOk &&
                      store->commit(&writer, now_sec()) == shm::Status::kOk;
    store->abort(&writer);
    return done;
}

}  // namespace

void remember_hints(Fetch* fetch, const http::Fields& fields, const shm::NewEntry& object) noexcept {
    if (!fetch->conf->early_hints || fetch->identity == kHeadIdentity || fetch->identity == kPostIdentity) {
        return;
    }
    shm::Store& store = fetch->zone->store;
    shm::NewEntry what = object;
    what.digest = cache::side_digest(object.digest, fetch->identity);
    size_t size = 0;
    if (fields.has("Link")) {
        auto* text = static_cast<char*>(ngx_pnalloc(fetch->request->pool, http::kMaxHintsBytes));
        size = text != nullptr ? http::hints_of(fields, text, http::kMaxHintsBytes) : 0;
        what.head = {text, size};
    }
    what.flags = cache::kHintsFlag | shm::kSideFlag;
    what.body_bytes = 0;
    what.fill_cost_us = 0;
    what.fresh_until_sec = what.stale_until_sec = now_sec() + kHintsSec;
    const UrlOf url{fetch->request->pool, fetch->url.host, fetch->url.uri};
    shm::Pin old;
    const bool is_known = store.find(what.digest, what.key, &old) == shm::Status::kOk;
    const bool is_done =
        is_known && size != 0 && is_same(old, what) && validity_of(fetch->zone, url, old) == shm::Validity::kValid;
    store.unpin(&old);
    // Where the new ones find no room, the old must not stay for the truth.
    if (!is_done && (size == 0 || !store_hints(&store, what)) && is_known) {
        (void) store.remove(what.digest, what.key);
    }
}

}  // namespace slab_cache::ngx
