#include "ngx/glue/ngx.h"

#include "ngx/fill/tier_write.h"

#include "cache/stored_head.h"
#include "cache/tier_value.h"
#include "cache/variant_marker.h"
#include "ngx/fill/object_selectors.h"
#include "ngx/fill/tier_visit.h"
#include "ngx/request/controls.h"
#include "ngx/tier/tier_put.h"
#include "ngx/zone/whole_head.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMostTags = 60 * 1024;  // a line of a stored head has 64 KB at most
constexpr uint32_t kMostMore = 32;
constexpr uint32_t kOwnKinds = cache::kStatusFlag | cache::kRedirectFlag | cache::kInterceptedFlag | cache::kHeadFlag |
                               cache::kOwnLocationFlag | cache::kGzipVaryFlag | cache::kNoServerFlag;

// An object as its value will be.
struct Writing {
    Fetch* fetch;
    const shm::Pin& object;
    cache::StoredResponse stored;
    http::Field more[kMostMore];
    uint32_t more_count;
    char until[1 + base::kDecimalBytes];
    char* head;
    size_t head_bytes;
    size_t body_bytes;
    uint64_t ttl_sec;
    cache::StoreKey key;
};

bool add_more(Writing* w, Bytes name, Bytes value) noexcept {
    if (w->more_count == kMostMore) {
        return false;
    }
    w->more[w->more_count++] = {name, value};
    return true;
}

// What the zone keeps under names of its own has its names again.
bool add_kept(Writing* w) noexcept {
    Bytes rest = w->stored.fields;
    cache::StoredField field;
    bool ok = true;
    for (uint16_t i = 0; i < w->stored.field_count && cache::next_field(&rest, &field); i++) {
        if (field.name == kKeptTags) {
            ok = add_more(w, "Surrogate-Key", field.value) && ok;
        }
        for (const Control& c : kControls) {
            if (field.name == c.kept) {
                ok = add_more(w, c.field, field.value) && ok;
            }
        }
    }
    return ok;
}

// How long it is fresh, as a moment: other fields that said so may have been nginx's to hide, or the operator's to overrule.
bool add_end(Writing* w) noexcept {
    w->until[0] = '@';
    const char* end = base::put_decimal(w->until + 1, static_cast<uint64_t>(by_wall(w->stored.facts.fresh_until)));
    return add_more(w, "X-Accel-Expires", {w->until, static_cast<size_t>(end - w->until)});
}

bool is_for_others(const Writing& w) noexcept {
    const TierFill& tier = *w.fetch->tier;
    return (shm::Store::flags(w.object) & kOwnKinds) == 0 && !tier.has_unknown_tags &&
           (w.stored.facts.flags & http::fact::kNoCache) == 0 && by_wall(w.stored.facts.fresh_until) > wall_sec();
}

bool write_head(Writing* w) noexcept {
    const TierFill& tier = *w->fetch->tier;
    cache::TierHead head;
    head.response = &w->stored;
    head.more = w->more;
    head.more_count = w->more_count;
    head.key = tier.place.text;
    head.identity = tier.place.shared;
    head.position = tier.position;
    head.born = by_wall(w->stored.facts.born_at);
    w->head_bytes = cache::write_tier_head(head, nullptr, 0);
    w->head = w->head_bytes != 0 ? static_cast<char*>(ngx_palloc(w->fetch->request->pool, w->head_bytes)) : nullptr;
    return w->head != nullptr && cache::write_tier_head(head, w->head, w->head_bytes) == w->head_bytes;
}

bool prepare(Writing* w) noexcept {
    Fetch* fetch = w->fetch;
    const Bytes head = whole_head(fetch->request->pool, fetch->zone->store, w->object);
    if (!cache::decode_head(head, &w->stored) || !is_for_others(*w) || !add_kept(w) || !add_end(w) || !write_head(w)) {
        return false;
    }
    const int64_t left = shm::Store::stale_until(w->object) - now_sec();
    w->body_bytes = static_cast<size_t>(shm::Store::body_length(w->object));
    w->ttl_sec = left > 1 ? static_cast<uint64_t>(left) : 1;
    const TierPlace& place = fetch->tier->place;
    return fetch->tier->spec.empty() ? object_key_of(place, &w->key)
                                     : variant_key_of(place, fetch->tier->spec, &w->key);
}

// Head and body one behind the other. False where the object is not what it says.
bool copy_value(const Writing& w, u_char* to) noexcept {
    to = ngx_cpymem(to, w.head, w.head_bytes);
    uint64_t offset = 0;
    uint64_t cursor = 0;
    while (offset < w.body_bytes) {
        shm::Segment segment[16];
        const uint32_t n = w.fetch->zone->store.segments(w.object, offset, &cursor, segment, 16);
        for (uint32_t i = 0; i < n; i++) {
            to = ngx_cpymem(to, segment[i].data, segment[i].len);
            offset += segment[i].len;
        }
        if (n == 0) {
            return false;
        }
    }
    return true;
}

void put_value(const Writing& w) noexcept {
    TierFill* tier = w.fetch->tier;
    const size_t size = w.head_bytes + w.body_bytes;
    TierPut put;
    if (size > tier->place.conf->max_object) {
        count(tier->place.conf->area, TierFigure::kTooLarge);
        delete_value(tier->place.conf, w.key);
        return;
    }
    if (!begin_put(tier->place.conf, w.key, size, w.ttl_sec, &put)) {
        return;
    }
    if (!copy_value(w, put.at)) {
        ngx_memzero(put.at, size);  // nonsense, and counted so where it is read
    }
    // Behind the marker, where there is one: who waits looks there first.
    TierHold none = {};
    end_put(&put, tier->spec.empty() ? &tier->hold : &none);
}

void put_marker(const Writing& w) noexcept {
    TierFill* tier = w.fetch->tier;
    cache::StoreKey key;
    TierPut put;
    const size_t size = cache::write_tier_marker(tier->place.text, &tier->spec, 1, nullptr, 0);
    if (size == 0 || !object_key_of(tier->place, &key) || !begin_put(tier->place.conf, key, size, w.ttl_sec, &put)) {
        return;
    }
    (void) cache::write_tier_marker(tier->place.text, &tier->spec, 1, reinterpret_cast<char*>(put.at), size);
    end_put(&put, &tier->hold);
}

}  // namespace

void plan_tier_write(Fetch* fetch, const Ctx* ctx, TierVisit* visit) noexcept {
    if (!uses_tier(ctx) || !ctx->conf->tier->writes) {
        return;
    }
    auto* tier = pool_new<TierFill>(fetch->request->pool);
    if (tier == nullptr || !tier_place_of(ctx, fetch->request, &tier->place)) {
        return;  // the hold stays with the visit
    }
    fetch->tier = tier;
    tier->position = tier_position(*tier->place.conf, fetch->zone);
    if (visit != nullptr) {
        tier->hold = visit->hold;
        visit->hold = {};
    }
}

bool keep_tags(Fetch* fetch, const http::Fields& response, const shm::Pin& old, Lines* lines) noexcept {
    TierFill* tier = fetch->tier;
    if (tier == nullptr) {
        return false;
    }
    http::Field* kept = nullptr;
    for (size_t i = 0; i < lines->size; i++) {
        kept = lines->data[i].name == kKeptTags ? &lines->data[i] : kept;
    }
    Bytes text;
    if (!tag_text(fetch, response, kept != nullptr ? kept->value : Bytes{}, &text) || text.size() > kMostTags) {
        tier->has_unknown_tags = true;
        return kept != nullptr;
    }
    // What was stored without them, before the tier was configured or by a push, has them as hashes alone.
    tier->has_unknown_tags = old && kept == nullptr && !has_names_only(fetch, old);
    if (kept != nullptr) {
        kept->value = text;
    } else if (!text.empty()) {
        lines->add(kKeptTags, text);
    }
    return !text.empty();
}

void write_to_tier(Fetch* fetch, const shm::Pin& object) noexcept {
    if (fetch->tier == nullptr) {
        return;
    }
    Writing w = {fetch, object, {}, {}, 0, {}, nullptr, 0, 0, 0, {}};
    if (prepare(&w)) {
        put_value(w);
        if (!fetch->tier->spec.empty()) {
            put_marker(w);
        }
    }
    leave_tier(fetch);
}

void leave_tier(Fetch* fetch) noexcept {
    if (fetch->tier != nullptr) {
        give_back(&fetch->tier->hold);
    }
}

}  // namespace slab_cache::ngx
