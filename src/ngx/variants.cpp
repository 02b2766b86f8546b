#include "ngx/ngx.h"

#include "ngx/variants.h"

#include "cache/key.h"
#include "cache/variant.h"
#include "http/vary.h"
#include "ngx/request.h"
#include "ngx/verdict.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxSpecBytes = 1024;
constexpr size_t kMarkerBytes = 8192;

// The lease on the URL ends as "look again"; from here on the fill holds the variant's.
void move_lease(Fill* fill) noexcept {
    if (!fill->ticket || fill->digest == fill->primary) {
        return;
    }
    shm::Ticket ticket;
    const shm::LeaseAnswer answer = fill->zone->store.lease_acquire(
        fill->digest, now_ms(), static_cast<uint32_t>(fill->conf->lock_age), &ticket);
    end_lease(fill, shm::LeaseState::kPublished, 0);
    if (answer == shm::LeaseAnswer::kOwned) {
        fill->ticket = ticket;
        if (fill->leader != nullptr) {
            fill->leader->ticket = ticket;
        }
    } else if (fill->leader != nullptr) {
        fill->leader->ticket = {};
    }
}

void drop_variants(Fill* fill, const cache::Dropped& dropped) noexcept {
    for (uint32_t i = 0; i < dropped.count; i++) {
        (void) fill->zone->store.remove(dropped.digest[i]);
    }
}

// Best effort: without a marker the variant is merely not found.
void write_marker(Fill* fill, Bytes spec, const shm::NewEntry& variant) noexcept {
    shm::Store& store = fill->zone->store;
    cache::Marker old;
    shm::Pin pin;
    if (store.find(fill->primary, fill->key, &pin) == shm::Status::kOk) {
        const bool usable = cache::is_marker(shm::Store::flags(pin))
                            && verdict(fill->zone, {fill->request->pool, fill->host, fill->uri}, pin)
                                   == shm::Validity::kValid
                            && cache::decode_marker(shm::Store::head(pin), &old);
        if (usable && cache::marker_knows(old, spec, variant.digest)
            && shm::Store::stale_until(pin) >= variant.stale_until_sec) {
            store.unpin(&pin);
            return;
        }
        if (!usable) {
            old = {};
        }
    }
    auto* buffer = static_cast<char*>(ngx_palloc(fill->request->pool, kMarkerBytes));
    auto* dropped = pool_new<cache::Dropped>(fill->request->pool);
    if (buffer != nullptr && dropped != nullptr) {
        const size_t n = cache::encode_marker(old, spec, variant.digest, fill->conf->policy.vary.max,
                                              buffer, kMarkerBytes, dropped);
        shm::NewEntry what = variant;
        what.key = fill->key;
        what.digest = fill->primary;
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
        drop_variants(fill, *dropped);
    }
    store.unpin(&pin);
}

}  // namespace

bool variant_key(ngx_pool_t* pool, Bytes primary, Bytes spec, const http::Fields& request,
                 const http::VaryPolicy& policy, Bytes* out) noexcept {
    char small[256];
    const size_t need = http::build_vary_key(spec, request, policy, small, sizeof(small));
    const size_t size = primary.size() + 2 + spec.size() + need;
    if (size > 2 * cache::kMaxKeyBytes) {
        return false;
    }
    auto* data = static_cast<char*>(ngx_pnalloc(pool, size));
    if (data == nullptr) {
        return false;
    }
    char* p = data;
    ngx_memcpy(p, primary.data(), primary.size());
    p += primary.size();
    *p++ = static_cast<char>(0xFF);
    *p++ = static_cast<char>(0xFF);
    ngx_memcpy(p, spec.data(), spec.size());
    p += spec.size();
    if (need <= sizeof(small)) {
        ngx_memcpy(p, small, need);
    } else {
        (void) http::build_vary_key(spec, request, policy, p, need);
    }
    *out = {data, size};
    return true;
}

bool choose_variant(Fill* fill, const http::Fields& response, shm::NewEntry* what,
                    http::Reason* reason) noexcept {
    auto* buffer = static_cast<char*>(ngx_palloc(fill->request->pool, kMaxSpecBytes));
    if (buffer == nullptr) {
        *reason = http::Reason::kInternal;
        return false;
    }
    const http::VaryPolicy& policy = fill->conf->policy.vary;
    if (http::ignores(fill->conf->policy, http::ignore::kVary) || policy.off) {
        return true;
    }
    const http::VarySpec spec = http::build_vary_spec(response, policy, buffer, kMaxSpecBytes);
    if (spec.star || spec.length > kMaxSpecBytes) {
        *reason = http::Reason::kVaryStar;
        return false;
    }
    if (spec.length == 0) {
        return true;
    }
    const Bytes text{buffer, spec.length};
    const http::Fields request = request_fields(fill->request);
    if (!variant_key(fill->request->pool, fill->key, text, request, policy, &fill->variant_key)) {
        *reason = http::Reason::kKeyTooLong;
        return false;
    }
    what->key = fill->variant_key;
    what->digest = cache::digest(fill->variant_key, fill->zone->store.secret());
    const bool moved = !(fill->digest == what->digest);
    fill->digest = what->digest;
    write_marker(fill, text, *what);
    if (moved) {
        move_lease(fill);
    }
    return true;
}

}  // namespace slab_cache::ngx
