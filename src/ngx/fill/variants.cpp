#include "ngx/glue/ngx.h"

#include "ngx/fill/variants.h"

#include "cache/key.h"
#include "cache/variant_marker.h"
#include "http/vary.h"
#include "ngx/fill/tier_write.h"
#include "ngx/request/identity.h"
#include "ngx/request/varied_fields.h"
#include "ngx/zone/validity.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxSpecBytes = 1024;
constexpr size_t kMarkerBytes = 8192;

// The lease on the URL ends as "look again"; from here on the fill holds the variant's.
void move_lease(Fetch* fetch) noexcept {
    if (!fetch->ticket || fetch->digest == fetch->primary) {
        return;
    }
    shm::Ticket ticket;
    const shm::LeaseAnswer answer = fetch->zone->store.lease_acquire(
        with_identity(fetch->digest, fetch->identity), now_ms(), static_cast<uint32_t>(fetch->conf->lock_age), &ticket);
    TierFill* tier = fetch->tier;  // goes on: its value is still to come
    fetch->tier = nullptr;
    end_lease(fetch, shm::LeaseState::kPublished, 0);
    fetch->tier = tier;
    if (answer == shm::LeaseAnswer::kOwned) {
        fetch->ticket = ticket;
        fetch->is_lease_moved = true;
        if (fetch->leader != nullptr) {
            fetch->leader->ticket = ticket;
        }
    } else if (fetch->leader != nullptr) {
        fetch->leader->ticket = {};
    }
}

void drop_variants(Zone* zone, const cache::Dropped& dropped) noexcept {
    for (uint32_t i = 0; i < dropped.count; i++) {
        (void) zone->store.remove(dropped.digest[i]);
    }
}

VariantOf variant_of(const Fetch* fetch) noexcept {
    return {fetch->zone,
            {fetch->request->pool, fetch->url.host, fetch->url.uri},
            fetch->key,
            varied_fields(fetch->request, fetch->conf, kAnySpec),
            &fetch->conf->policy};
}

}  // namespace

void write_marker(const VariantOf& of, Bytes spec, const shm::NewEntry& variant) noexcept {
    shm::Store& store = of.zone->store;
    const shm::Digest primary = cache::digest(of.key, store.secret());
    cache::Marker old;
    shm::Pin pin;
    if (store.find(primary, of.key, &pin) == shm::Status::kOk) {
        const bool usable = cache::is_marker(shm::Store::flags(pin)) &&
                            validity_of(of.zone, of.url, pin) == shm::Validity::kValid &&
                            cache::decode_marker(shm::Store::head(pin), &old);
        if (usable && cache::marker_knows(old, spec, variant.digest) &&
            shm::Store::stale_until(pin) >= variant.stale_until_sec) {
            store.unpin(&pin);
            return;
        }
        if (!usable) {
            old = {};
        }
    }
    auto* buffer = static_cast<char*>(ngx_palloc(of.url.pool, kMarkerBytes));
    auto* dropped = pool_new<cache::Dropped>(of.url.pool);
    if (buffer != nullptr && dropped != nullptr) {
        const size_t n =
            cache::encode_marker(old, spec, variant.digest, of.policy->vary.max, buffer, kMarkerBytes, dropped);
        shm::NewEntry what = variant;
        what.key = of.key;
        what.digest = primary;
        what.asked = 0;  // it knows what the one in place knows
        what.head = {buffer, n};
        what.flags = cache::kMarkerFlag;
        what.body_bytes = 0;
        const int64_t until = pin ? shm::Store::stale_until(pin) : 0;
        what.stale_until_sec = until > variant.stale_until_sec ? until : variant.stale_until_sec;
        what.fresh_until_sec = what.stale_until_sec;
        shm::Writer writer;
        if (n != 0 && store.begin(what, now_sec(), &writer) == shm::Status::kOk) {
            (void) store.commit(&writer, now_sec());
            store.abort(&writer);
        }
        drop_variants(of.zone, *dropped);
    }
    store.unpin(&pin);
}

bool find_place(const VariantOf& of, const http::Fields& response, VariantPlace* place, http::Reason* reason) noexcept {
    *place = {{}, of.key};
    const http::VaryPolicy& policy = of.policy->vary;
    if (http::ignores(*of.policy, http::ignore::kVary) || policy.off) {
        return true;
    }
    auto* buffer = static_cast<char*>(ngx_palloc(of.url.pool, kMaxSpecBytes));
    if (buffer == nullptr) {
        *reason = http::Reason::kInternal;
        return false;
    }
    const http::VarySpec spec = http::build_vary_spec(response, policy, buffer, kMaxSpecBytes);
    if (spec.star || spec.length > kMaxSpecBytes) {
        *reason = spec.star && !spec.too_many ? http::Reason::kVaryStar : http::Reason::kKeyTooLong;
        return false;
    }
    place->spec = {buffer, spec.length};
    if (!place->spec.empty() &&
        !cache::variant_key(arena_of(of.url.pool), of.key, place->spec, of.request, policy, &place->key)) {
        *reason = http::Reason::kKeyTooLong;
        return false;
    }
    return true;
}

bool choose_variant(Fetch* fetch, const http::Fields& response, shm::NewEntry* what, http::Reason* reason) noexcept {
    if (!response.has("Vary")) {
        return true;
    }
    const VariantOf of = variant_of(fetch);
    VariantPlace place;
    if (!find_place(of, response, &place, reason)) {
        return false;
    }
    if (place.spec.empty()) {
        return true;
    }
    what->key = place.key;
    what->digest = cache::digest(place.key, fetch->zone->store.secret());
    const bool moved = !(fetch->digest == what->digest);
    fetch->digest = what->digest;
    if (fetch->tier != nullptr) {
        fetch->tier->spec = place.spec;
    }
    write_marker(of, place.spec, *what);
    if (moved) {
        move_lease(fetch);
    }
    return true;
}

}  // namespace slab_cache::ngx
