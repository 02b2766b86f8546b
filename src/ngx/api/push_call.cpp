#include "ngx/glue/ngx.h"

#include "ngx/api/push_call.h"

#include <jansson.h>

#include "cache/key.h"
#include "cache/tier_key.h"
#include "cache/tier_value.h"
#include "http/cross_origin.h"
#include "cache/push_request.h"
#include "cache/variant_marker.h"
#include "http/storable.h"
#include "http/syntax.h"
#include "http/tags.h"
#include "ngx/api/api.h"
#include "ngx/request/accounting.h"
#include "ngx/api/entry_json.h"
#include "ngx/request/identity.h"
#include "ngx/glue/reply.h"
#include "ngx/request/cache_key.h"
#include "ngx/api/target_url.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/user_area.h"
#include "ngx/fill/store_message.h"

namespace slab_cache::ngx {
namespace {

constexpr Bytes kRequestPrefix = "X-Request-";
constexpr Bytes kPosition = "Slab-Position";

struct Push {
    Call* call;
    Target target;
    http::Field* line;  // what is stored
    size_t lines;
    cache::TierValue* value;  // the body is a whole response, which says all of itself; else nullptr
    http::Field* asked;       // what a request says that gets it, as far as the response varies on it
    size_t asked_count;
    uint64_t fence;  // as given; 0: none
    bool is_fenced;
    bool is_purged_elsewhere;
    Message message;
    ngx_int_t answered;  // of the problem that ended it
};

bool refuse(Push* p, ngx_uint_t status, Bytes title, Bytes detail, Bytes reason = {}) noexcept {
    p->answered = send_problem(p->call->request, status, title, detail, reason);
    return false;
}

bool bad(Push* p, Bytes detail) noexcept { return refuse(p, NGX_HTTP_BAD_REQUEST, "invalid push", detail); }

bool has_prefix(Bytes name, Bytes prefix) noexcept {
    return name.size() > prefix.size() && base::equal_nocase(base::slice(name, 0, prefix.size()), prefix);
}

bool is_whole_response(ngx_http_request_t* r) noexcept {
    const Bytes type = request_fields(r).get("Content-Type");
    return base::equal_nocase(http::trim(base::slice(type, 0, type.find(';'))), "message/http");
}

// What curl says of every body that it was given on its command line.
bool says_nothing_of_the_response(const http::Field& field) noexcept {
    return base::equal_nocase(field.name, "Content-Type") && http::is_urlencoded(field.value);
}

// Objects are pushed under the default key.
bool is_served(Push* p) noexcept {
    return p->call->zone->is_default_key_used || main_conf(p->call->request)->has_zone_by_name ||
           refuse(p, 422, "not served",
                  "no location would serve it: none has slab_cache with this zone and without slab_cache_key");
}

bool read_fields(Push* p) noexcept {
    ngx_http_request_t* r = p->call->request;
    const http::Fields all = request_fields(r);
    p->line = static_cast<http::Field*>(ngx_palloc(r->pool, (all.size + 1) * sizeof(http::Field)));
    p->asked = static_cast<http::Field*>(ngx_palloc(r->pool, (all.size + 1) * sizeof(http::Field)));
    if (p->line == nullptr || p->asked == nullptr) {
        return refuse(p, NGX_HTTP_INTERNAL_SERVER_ERROR, "out of memory", {});
    }
    for (const http::Field& field : all) {
        if (says_nothing_of_the_response(field)) {
            continue;
        }
        if (const Bytes name = http::pushed_name(field.name); !name.empty()) {
            p->line[p->lines++] = {name, field.value};
        } else if (has_prefix(field.name, kRequestPrefix)) {
            p->asked[p->asked_count++] = {base::slice(field.name, kRequestPrefix.size()), field.value};
        }
    }
    return true;
}

// Two words for one thing would leave one of them out.
bool is_said_once(Push* p) noexcept {
    for (const http::Field& field : request_fields(p->call->request)) {
        const bool is_type = base::equal_nocase(field.name, "Content-Type");
        if (http::is_tag_field(field.name) || base::equal_nocase(field.name, http::kCacheGroups) ||
            base::equal_nocase(field.name, kPosition) || (!is_type && !http::pushed_name(field.name).empty())) {
            return bad(p,
                       "with message/http the body says all of the response, tags too; no field of the request does");
        }
    }
    return true;
}

bool read_value(Push* p) noexcept {
    ngx_http_request_t* r = p->call->request;
    if (!is_whole_response(r)) {
        return true;
    }
    p->value = pool_new<cache::TierValue>(r->pool);
    if (p->value == nullptr) {
        return refuse(p, NGX_HTTP_INTERNAL_SERVER_ERROR, "out of memory", {});
    }
    const cache::ValueFault fault = cache::read_tier_value(p->call->body, wall_sec(), p->value);
    if (fault != cache::ValueFault::kNone) {
        return bad(p, cache::fault_sentence(fault));
    }
    return is_said_once(p) && (!p->value->is_marker() || bad(p, "Slab-Vary makes it no response"));
}

// What is to be stored, and of which status.
http::Response response_of(const Push* p) noexcept {
    if (p->value != nullptr) {
        return {p->value->status, p->value->fields(), wall_sec(), wall_sec()};
    }
    return {NGX_HTTP_OK, {p->line, p->lines}, wall_sec(), wall_sec()};
}

bool read_response(Push* p) noexcept {
    ngx_http_request_t* r = p->call->request;
    Message& m = p->message;
    m.response = response_of(p);
    int64_t ttl = 0;
    Bytes text;
    if (query_argument(r, "status", &text) && !http::read_pushed_status(text, &m.response.status)) {
        return bad(p, "status= is a number from 200 to 599");
    }
    const bool has_ttl = query_argument(r, "ttl", &text);
    if (has_ttl && !http::read_pushed_ttl(text, &ttl)) {
        return bad(p, "ttl= is a positive number of seconds");
    }
    m.freshness = http::evaluate_freshness(m.response, p->call->conf->policy, static_cast<uint32_t>(ngx_random()));
    if (has_ttl) {
        m.freshness.lifetime_sec = ttl;
        m.freshness.fresh_until = wall_sec() + ttl - m.freshness.age_at_response;
        m.freshness.is_explicit = true;
        m.freshness.source = http::Source::kAccel;
    }
    http::Request request;
    const http::Verdict verdict = http::storable(request, m.response, m.freshness, p->call->conf->policy);
    return verdict ||
           refuse(p, 422, "not storable", http::reason_sentence(verdict.reason), http::reason_word(verdict.reason));
}

bool is_value_of(const Push* p, Bytes key) noexcept {
    Bytes text;
    return p->value == nullptr || p->value->key.empty() ||
           (cache::tier_text(arena_of(p->call->request->pool), key, true, &text) && p->value->key == text);
}

bool find_key(Push* p) noexcept {
    Message& m = p->message;
    ngx_pool_t* pool = p->call->request->pool;
    http::Reason reason = http::Reason::kNone;
    const Bytes key = cache::default_key_of(arena_of(pool), p->target);
    if (key.empty()) {
        return bad(p, "the URL is too long for a key");
    }
    m.of = {p->call->zone,
            {pool, p->target.url.host, p->target.uri},
            key,
            {p->asked, p->asked_count},
            &p->call->conf->policy};
    if (!is_value_of(p, key)) {
        return bad(p, "Slab-Key is another URL's");
    }
    if (!find_place(m.of, m.response.fields, &m.place, &reason)) {
        return refuse(p, 422, "not storable", http::reason_sentence(reason), http::reason_word(reason));
    }
    return is_encoding_asked_for(m) || bad(p,
                                           "Content-Encoding needs Vary: Accept-Encoding, and an "
                                           "X-Request-Accept-Encoding that takes it");
}

bool read_fence(Push* p) noexcept {
    const http::Field* fence = request_fields(p->call->request).find("If-Purge-Seq");
    p->message.birth = p->call->birth;
    if (fence == nullptr) {
        return true;
    }
    // What is below was never a zone's: a count of one's own. A number of another zone, or of this one before nginx was
    // started anew, says nothing about what was purged here since. Nor does one that is yet to come: it would make the object
    // immune to the purges up to it.
    if (!http::read_fence(fence->value, &p->message.birth) || p->message.birth < shm::kLeastSeq) {
        return bad(p, "If-Purge-Seq is the \"seq\" of a purge");
    }
    if (!p->call->zone->store.is_own_seq(p->message.birth, p->call->birth)) {
        return refuse(p, NGX_HTTP_PRECONDITION_FAILED, "not a number of this zone",
                      "this zone, as it is now, has not given out that \"seq\": purge again",
                      http::reason_word(http::Reason::kPurgedInflight));
    }
    p->is_fenced = true;
    return true;
}

// The counter that the stream's position comes to here. Where the zone has not read up to there, or does not remember, nothing is
// known of the purges since.
bool read_position(Push* p) noexcept {
    const http::Field* field = request_fields(p->call->request).find(kPosition);
    cache::StreamId id;
    if (p->value != nullptr ? !p->value->has_position : field == nullptr) {
        return true;
    }
    if (p->value != nullptr) {
        id = p->value->position;
    } else if (!cache::parse_stream_id(http::trim(field->value), &id)) {
        id = {};
    }
    const cache::FleetArea* area = p->call->zone->fleet != nullptr ? fleet_of(p->call->zone) : nullptr;
    if (area == nullptr || !id) {
        return bad(p, "Slab-Position is the id of an entry of the fleet's stream, for zones with fleet=");
    }
    cache::FleetPosition here;
    if (!cache::read_position(*area, &here) || here.id < id) {
        return refuse(p, NGX_HTTP_SERVICE_UNAVAILABLE, "not there yet",
                      "this zone has not read the stream up to that position: try again in a moment");
    }
    const uint64_t birth = cache::birth_at(*area, id);
    if (birth == 0 || !p->call->zone->store.is_own_seq(birth, p->call->birth)) {
        return refuse(
            p, NGX_HTTP_PRECONDITION_FAILED, "not a position of this zone",
            "this zone does not remember which purges came before that position: take a newer one, and begin again",
            http::reason_word(http::Reason::kPurgedInflight));
    }
    p->message.birth = ngx_min(p->message.birth, birth);
    p->is_fenced = true;
    return true;
}

bool refuse_message(Push* p, http::Reason reason) noexcept {
    switch (reason) {
    case http::Reason::kNone:
        return true;
    case http::Reason::kInternal:
        return refuse(p, NGX_HTTP_INTERNAL_SERVER_ERROR, "out of memory", {});
    case http::Reason::kFraming:
        return bad(p, "a header field is too long");
    default:
        return refuse(p, 422, "not storable", http::reason_sentence(reason), http::reason_word(reason));
    }
}

bool complete_message(Push* p) noexcept {
    Message& m = p->message;
    m.url = p->target.url;
    m.identity = kPushedIdentity;
    m.body = p->value != nullptr ? p->value->body : p->call->body;
    m.lines = m.response.fields;
    m.tagged = request_fields(p->call->request);
    if (p->value != nullptr && !take_lines(&m, p->value->fields())) {
        return refuse_message(p, http::Reason::kInternal);
    }
    return refuse_message(p, collect_message_selectors(&m)) && refuse_message(p, build_message_head(&m));
}

bool explain_failure(Push* p, shm::Status status) noexcept {
    switch (status) {
    case shm::Status::kPurged:
        return refuse(p, NGX_HTTP_PRECONDITION_FAILED, "purged since",
                      "a purge of this URL, its host, a prefix or a tag came since",
                      http::reason_word(http::Reason::kPurgedInflight));
    case shm::Status::kOutrun:
        return refuse(p, NGX_HTTP_PRECONDITION_FAILED, "pushed since", "another push of this URL came since",
                      http::reason_word(http::Reason::kPurgedInflight));
    case shm::Status::kTooLarge:
        return refuse(p, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "not storable", "larger than max_object",
                      http::reason_word(http::Reason::kTooBig));
    case shm::Status::kNoSpace:
        return refuse(p, 507, "not stored", "nothing could be evicted to make room",
                      http::reason_word(http::Reason::kNoSpace));
    default:
        return refuse(p, NGX_HTTP_SERVICE_UNAVAILABLE, "not stored", "a bound of the zone was reached",
                      http::reason_word(http::Reason::kBusy));
    }
}

// Then what was invalidated since the fence has a record, as long as that lives.
bool was_stored_before(Push* p) noexcept {
    shm::Store& store = p->call->zone->store;
    shm::Pin pin;
    if (store.find(cache::digest(p->message.place.key, store.secret()), p->message.place.key, &pin) !=
        shm::Status::kOk) {
        return false;
    }
    const bool before = shm::Store::birth(pin) < p->message.birth;
    store.unpin(&pin);
    return before;
}

// Workers of another zone of this name run too (succession.h): those of the one that this zone took the place of, or of the one
// that took its. What they have of the URL is older than the push, and only a purge reaches it.
bool has_others(Zone* zone) noexcept { return zone->store.has_open_prior() || has_successor(zone); }

// The URL goes in all zones of this name, and the push is born at that very purge. False: one came in between, and whether it
// was of this URL cannot be told any more.
bool purge_elsewhere(Push* p) noexcept {
    const uint64_t seq = p->call->zone->store.purge(&p->message.selectors->data()[1], 1, shm::PurgeMode::kHard);
    const bool is_next = seq == p->message.birth + 1;
    p->message.birth = seq;
    return is_next;
}

// From now on the push is younger than any fill that began before: those would bring back what it replaces. What was purged
// up to now is held against it here, what is purged later by its birth. False: it has been answered.
bool settle_birth(Push* p) noexcept {
    Zone* zone = p->call->zone;
    if (zone->priors != 0 && is_behind_on_globs(*zone)) {
        import_globs(zone);
    }
    const uint64_t url = p->message.selectors->data()[1];
    p->fence = p->is_fenced ? p->message.birth : 0;
    list_url(zone, url);
    if (p->is_fenced && is_unheard_since(zone, url, p->message.birth) && !was_stored_before(p)) {
        return explain_failure(p, shm::Status::kPurged);
    }
    const uint64_t now = zone->store.advance();
    if (now == 0) {
        return explain_failure(p, shm::Status::kBusy);
    }
    const shm::Validity validity =
        zone->store.validity_of(p->message.selectors->data(), p->message.selectors->size(), p->message.birth);
    if (is_purged_by_glob(p->message) || validity == shm::Validity::kPurged ||
        (p->is_fenced && validity != shm::Validity::kValid)) {
        return explain_failure(p, shm::Status::kPurged);
    }
    if (validity == shm::Validity::kValid) {
        p->message.birth = now;
        p->is_purged_elsewhere = has_others(zone);
        if (p->is_purged_elsewhere && !purge_elsewhere(p)) {
            return explain_failure(p, shm::Status::kBusy);
        }
        note_push(zone, url, p->message.birth);
    }
    return true;
}

// Where another zone took this one's place since the birth was settled, it may have got what the push replaces.
bool is_known_elsewhere(Push* p) noexcept {
    if (p->is_purged_elsewhere || !has_successor(p->call->zone)) {
        return true;
    }
    (void) purge_elsewhere(p);
    return explain_failure(p, shm::Status::kBusy);
}

bool store(Push* p) noexcept {
    if (!settle_birth(p)) {
        return false;
    }
    p->message.flags = cache::kPushedFlag;
    p->message.rival_flags = p->is_fenced ? cache::kPushedFlag : 0;
    p->message.rival_since = p->fence;
    const shm::Status status = write_message(&p->message);
    return status == shm::Status::kOk ? is_known_elsewhere(p) : explain_failure(p, status);
}

}  // namespace

bool is_push_field(Bytes name) noexcept {
    return !http::pushed_name(name).empty() || has_prefix(name, kRequestPrefix) || http::is_tag_field(name) ||
           base::equal_nocase(name, "If-Purge-Seq") || base::equal_nocase(name, kPosition);
}

ngx_int_t push_entry(Call* call) noexcept {
    auto* p = pool_new<Push>(call->request->pool);
    Bytes url;
    if (p == nullptr) {
        return NGX_ERROR;
    }
    cache::SelectorList selectors(arena_of(call->request->pool));
    p->message.selectors = &selectors;
    p->call = call;
    if (!query_argument(call->request, "url", &url) || url.empty()) {
        (void) bad(p, kNoTarget);
        return p->answered;
    }
    if (!parse_target(call->request, url, &p->target)) {
        (void) bad(p, kBadTarget);
        return p->answered;
    }
    if (!read_fields(p) || !read_value(p) || !read_response(p) || !find_key(p) || !read_fence(p) || !read_position(p) ||
        !complete_message(p) || !is_served(p) || !store(p)) {
        return p->answered;
    }
    count(call->zone, Counter::kPushes);
    return send_json(call->request, NGX_HTTP_CREATED,
                     json_pack("{s:b, s:I, s:I, s:o}", "stored", 1, "birth", static_cast<json_int_t>(p->message.birth),
                               "ttl_sec", static_cast<json_int_t>(p->message.freshness.fresh_until - wall_sec()), "key",
                               key_json(p->message.place.key, call->zone->store.secret())));
}

}  // namespace slab_cache::ngx
