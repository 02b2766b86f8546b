#include "ngx/glue/ngx.h"

#include "ngx/request/find_object.h"

#include "cache/stored_head.h"
#include "cache/variant_marker.h"
#include "http/reuse.h"
#include "cache/key.h"
#include "cache/url.h"
#include "ngx/request/accounting.h"
#include "ngx/request/identity.h"
#include "ngx/request/cache_key.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/validity.h"

namespace slab_cache::ngx {
namespace {

UrlOf url_of(const Ctx* ctx) noexcept { return {ctx->request->pool, ctx->url.host, ctx->url.uri}; }

Found find_one(Ctx* ctx, Bytes key, shm::Pin* pin) noexcept {
    shm::Store& store = ctx->zone->store;
    const shm::Status status = store.find(ctx->digest, key, pin);
    if (status != shm::Status::kOk) {
        return status == shm::Status::kBusy ? Found::kFailed : Found::kNothing;
    }
    switch (validity_of(ctx->zone, url_of(ctx), *pin)) {
    case shm::Validity::kValid:
        return Found::kUnpurged;
    case shm::Validity::kSoftPurged:
        return Found::kSoftPurged;
    case shm::Validity::kDoubted:
        return Found::kDoubted;
    case shm::Validity::kPurged:
        break;
    }
    store.unpin(pin);
    ctx->reason = http::Reason::kPurged;
    return Found::kNothing;
}

// Tries the specs of a marker, newest first. Leaves ctx->digest at the newest spec's variant when none is there:
// that is the one to fill.
Found find_variant(Ctx* ctx, Bytes marker_head) noexcept {
    cache::Marker marker;
    if (!cache::decode_marker(marker_head, &marker)) {
        count(ctx->zone, Counter::kCorrupt);
        return Found::kNothing;
    }
    for (uint32_t i = 0; i < marker.spec_count; i++) {
        if (!read_variant(ctx, marker.spec[i])) {
            return Found::kFailed;
        }
        const Found found = find_one(ctx, ctx->variant_key, &ctx->pin);
        if (found == Found::kFailed || (found != Found::kNothing && is_of(ctx, ctx->pin))) {
            return found;
        }
        ctx->zone->store.unpin(&ctx->pin);
    }
    if (marker.spec_count > 1 && !read_variant(ctx, marker.spec[0])) {
        return Found::kFailed;
    }
    if (ctx->reason == http::Reason::kNone) {
        ctx->reason = http::Reason::kVariant;
    }
    return Found::kNothing;
}

// Goes through the slots of the URL until one is ours, or free, and is not the one with the key `taken`. The last one is taken
// from whoever has it.
Found find_slot(Ctx* ctx, Bytes taken) noexcept {
    for (uint32_t slot = 0;; slot++) {
        if (!use_slot(ctx, slot)) {
            return Found::kFailed;
        }
        if (ctx->key == taken && slot + 1 < cache::kSlots) {
            continue;
        }
        const Found found = find_one(ctx, ctx->key, &ctx->pin);
        if (found == Found::kNothing || found == Found::kFailed || is_of(ctx, ctx->pin)) {
            return found;
        }
        ctx->zone->store.unpin(&ctx->pin);
        if (slot + 1 == cache::kSlots) {
            return Found::kNothing;
        }
    }
}

}  // namespace

Found find_object(Ctx* ctx) noexcept {
    const Found found = find_slot(ctx, {});
    if (!ctx->pin || !cache::is_marker(shm::Store::flags(ctx->pin))) {
        return found;
    }
    shm::Pin marker = ctx->pin;  // its head is read while we look for the variant
    ctx->pin = {};
    const Found variant = find_variant(ctx, shm::Store::head(marker));
    ctx->zone->store.unpin(&marker);
    return variant;
}

bool find_place_beside(Ctx* ctx, Bytes taken) noexcept {
    const Found found = find_slot(ctx, taken);
    ctx->zone->store.unpin(&ctx->pin);
    return found != Found::kFailed;
}

// Between our look and our lease somebody may have finished the very fill that we are about to start.
bool appeared_meanwhile(Ctx* ctx) noexcept {
    shm::Store& store = ctx->zone->store;
    shm::Pin pin;
    if (store.find(ctx->digest, ctx->variant_key, &pin) != shm::Status::kOk) {
        return false;
    }
    const bool news = pin.ref != ctx->stale.ref && validity_of(ctx->zone, url_of(ctx), pin) == shm::Validity::kValid;
    store.unpin(&pin);
    return news;
}

bool is_outdated_by_push(Ctx* ctx) noexcept {
    cache::Url url;
    return !cache::split_url(arena_of(ctx->request->pool), ctx->url.host, ctx->url.uri, &url) ||
           is_pushed_since(ctx->zone, cache::url_selector(url, ctx->zone->store.secret()), shm::Store::asked(ctx->pin));
}

// The fill under the same lease streams: join it if its response is for requests like ours.
bool join_stream(Ctx* ctx) noexcept {
    shm::Store& store = ctx->zone->store;
    if (store.lease_pin(ctx->ticket, ctx->digest, ctx->variant_key, &ctx->pin, now_ms()) != shm::Status::kOk) {
        return false;
    }
    cache::HeadFixed answer;
    if (!is_of(ctx, ctx->pin) || validity_of(ctx->zone, url_of(ctx), ctx->pin) != shm::Validity::kValid ||
        is_outdated_by_push(ctx) || !cache::decode_facts(shm::Store::head(ctx->pin), &answer) ||
        http::reuse(answer.facts, request_facts(ctx->request), ctx->conf->policy, now_sec()).kind !=
            http::ReuseKind::kFresh) {
        store.unpin(&ctx->pin);
        return false;
    }
    store.touch(ctx->pin);
    ctx->stored_ref = 0;
    return true;
}

}  // namespace slab_cache::ngx
