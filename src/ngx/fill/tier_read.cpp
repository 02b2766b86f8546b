#include "ngx/glue/ngx.h"

#include "ngx/fill/tier_read.h"

#include "cache/variant_marker.h"
#include "http/storable.h"
#include "http/syntax.h"
#include "http/tags.h"
#include "http/vary.h"
#include "ngx/fill/store_message.h"
#include "ngx/request/controls.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/user_area.h"
#include "ngx/zone/validity.h"

namespace slab_cache::ngx {
namespace {

#ifdef SLAB_TWIN_TIER  // a broken twin, for tests: what was purged since it was made is nobody's business
constexpr bool kIsFenced = false;
#else
constexpr bool kIsFenced = true;
#endif

struct Taking {
    const TierPlace& place;
    const cache::TierValue& value;
    Message message;
    cache::Url inner;
};

bool is_asked_for(const TierPlace& place, const cache::TierValue& value) noexcept {
    const bool is_ours = value.identity.empty() ? place.takes_any : value.identity == place.shared;
    return is_ours && (value.key.empty() || value.key == place.text);
}

// What another machine stored has been judged by the operator's bounds already; its lifetime is what is left of that.
http::Policy policy_for(const Taking& t) noexcept {
    http::Policy policy = *t.place.of.policy;
    if (!t.value.identity.empty()) {
        policy.ttl_min_sec = 0;
        policy.jitter_percent = 0;
    }
    return policy;
}

bool judge(Taking* t, TierMiss* miss) noexcept {
    Message& m = t->message;
    const http::Policy policy = policy_for(*t);
    m.response = {t->value.status, t->value.fields(), wall_sec(), wall_sec()};
    m.freshness = http::evaluate_freshness(m.response, policy, static_cast<uint32_t>(ngx_random()));
    http::Request request;
    const http::Verdict may = http::storable(request, m.response, m.freshness, policy);
    *miss = may.reason == http::Reason::kAlreadyStale ? TierMiss::kStale : TierMiss::kRefused;
    if (!may || m.freshness.no_cache) {
        return false;
    }
    *miss = TierMiss::kStale;
    return m.freshness.fresh_until > wall_sec();
}

// Under a variant's key what that variant varies on, and nothing else; under the URL's what does not vary at all.
bool find_variant(Taking* t, Bytes spec, TierMiss* miss) noexcept {
    Message& m = t->message;
    http::Reason reason = http::Reason::kNone;
    *miss = TierMiss::kRefused;
    if (!find_place(m.of, m.response.fields, &m.place, &reason)) {
        return false;
    }
    *miss = TierMiss::kForeign;
    if (m.place.spec != spec) {
        return false;
    }
    // As of an origin's answer: one that does not vary on it is for all.
    return m.place.spec.empty() || is_encoding_asked_for(m) || !http::list_has(m.place.spec, "accept-encoding");
}

constexpr uint64_t kOlderThanAll = 1;         // no purge has that number, nor 0, which is none
constexpr uint64_t kMostAheadMs = 60 * 1000;  // positions are times of the server's clock

// The purge counter that its position comes to here.
uint64_t birth_of(const Taking& t) noexcept {
    Zone* zone = t.place.of.zone;
    const cache::StreamId here = tier_position(*t.place.conf, zone);
    const uint64_t latest = static_cast<uint64_t>(wall_sec()) * 1000 + kMostAheadMs;
    if (!here || !t.value.position || t.value.position.ms > latest) {
        return kOlderThanAll;
    }
    const uint64_t birth = cache::birth_at(*fleet_of(zone), t.value.position < here ? t.value.position : here);
    return zone->store.is_own_seq(birth, zone->store.birth_stamp()) ? birth : kOlderThanAll;
}

// Its URL is listed before its birth is judged: what is invalidated from now on has a record (listing.h).
bool settle_birth(Taking* t) noexcept {
    Message& m = t->message;
    Zone* zone = m.of.zone;
    const uint64_t url = m.selectors->data()[1];
    if (zone->priors != 0 && is_behind_on_globs(*zone)) {
        import_globs(zone);
    }
    list_url(zone, url);
    const uint64_t now = zone->store.birth_stamp();
    m.birth = birth_of(*t);
    if (kIsFenced &&
        (is_unheard_since(zone, url, m.birth) || is_purged_by_glob(m) ||
         zone->store.validity_of(m.selectors->data(), m.selectors->size(), m.birth) != shm::Validity::kValid)) {
        return false;
    }
    m.birth = now;  // nothing up to now concerns it
    return true;
}

bool fill_in(Taking* t) noexcept {
    Message& m = t->message;
    const base::Arena arena = arena_of(m.of.url.pool);
    if (!cache::split_url(arena, m.of.url.host, m.of.url.uri, &m.url)) {
        return false;
    }
    if (!t->place.inner_path.empty() && t->place.inner_path.front() == '/') {
        t->inner = {m.of.url.host, t->place.inner_path, t->place.inner_args};
        m.inner = &t->inner;
    }
    m.identity = t->place.identity;
    m.body = t->value.body;
    return take_lines(&m, t->value.fields()) && collect_message_selectors(&m) == http::Reason::kNone &&
           build_message_head(&m) == http::Reason::kNone;
}

}  // namespace

bool store_tier_value(const TierPlace& place, const cache::TierValue& value, Bytes spec, int64_t fresher_than,
                      TierMiss* miss) noexcept {
    Taking t = {place, value, {}, {}};
    cache::SelectorList selectors(arena_of(place.of.url.pool));
    t.message.of = place.of;
    t.message.selectors = &selectors;
    *miss = TierMiss::kForeign;
    if (!is_asked_for(place, value) || !judge(&t, miss) || !find_variant(&t, spec, miss)) {
        return false;
    }
    // One second is the two clocks' rounding.
    if (fresher_than != 0 && t.message.freshness.fresh_until <= by_wall(fresher_than) + 1) {
        *miss = TierMiss::kStale;
        return false;
    }
    *miss = TierMiss::kRefused;
    if (!fill_in(&t)) {
        return false;
    }
    *miss = TierMiss::kPurged;
    if (!settle_birth(&t)) {
        return false;
    }
    const shm::Status status = write_message(&t.message);
    *miss = status == shm::Status::kPurged     ? TierMiss::kPurged
            : status == shm::Status::kTooLarge ? TierMiss::kTooLarge
                                               : TierMiss::kNoSpace;
    return status == shm::Status::kOk;
}

}  // namespace slab_cache::ngx
