#include "ngx/glue/ngx.h"

#include "ngx/api/push_call.h"

#include <jansson.h>

#include "cache/stored_head.h"
#include "cache/selector_list.h"
#include "http/cross_origin.h"
#include "http/date.h"
#include "cache/push_request.h"
#include "cache/variant_marker.h"
#include "http/storable.h"
#include "http/syntax.h"
#include "http/tags.h"
#include "http/vary.h"
#include "ngx/api/api.h"
#include "ngx/request/accounting.h"
#include "ngx/api/entry_json.h"
#include "ngx/request/identity.h"
#include "ngx/glue/reply.h"
#include "ngx/request/cache_key.h"
#include "ngx/api/target_url.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/user_area.h"
#include "ngx/fill/variants.h"

namespace slab_cache::ngx {
namespace {

constexpr Bytes kRequestPrefix = "X-Request-";

struct Push {
    Call* call;
    Target target;
    http::Field* line;  // what is stored
    size_t lines;
    http::Field* asked;  // what a request says that gets it, as far as the response varies on it
    size_t asked_count;
    http::Response response;
    http::Freshness freshness;
    uint64_t birth;
    uint64_t fence;  // as given; 0: none
    bool is_fenced;
    bool is_purged_elsewhere;
    cache::SelectorList* selectors;
    VariantPlace place;
    Bytes head;
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

bool read_response(Push* p) noexcept {
    ngx_http_request_t* r = p->call->request;
    uint16_t status = NGX_HTTP_OK;
    int64_t ttl = 0;
    Bytes text;
    if (query_argument(r, "status", &text) && !http::read_pushed_status(text, &status)) {
        return bad(p, "status= is a number from 200 to 599");
    }
    const bool has_ttl = query_argument(r, "ttl", &text);
    if (has_ttl && !http::read_pushed_ttl(text, &ttl)) {
        return bad(p, "ttl= is a positive number of seconds");
    }
    p->response = {status, {p->line, p->lines}, wall_sec(), wall_sec()};
    p->freshness = http::evaluate_freshness(p->response, p->call->conf->policy, static_cast<uint32_t>(ngx_random()));
    if (has_ttl) {
        p->freshness.lifetime_sec = ttl;
        p->freshness.fresh_until = wall_sec() + ttl - p->freshness.age_at_response;
        p->freshness.is_explicit = true;
        p->freshness.source = http::Source::kAccel;
    }
    http::Request request;
    const http::Verdict verdict = http::storable(request, p->response, p->freshness, p->call->conf->policy);
    return verdict ||
           refuse(p, 422, "not storable", http::reason_sentence(verdict.reason), http::reason_word(verdict.reason));
}

VariantOf variant_of(Push* p, Bytes key) noexcept {
    return {p->call->zone,
            {p->call->request->pool, p->target.url.host, p->target.uri},
            key,
            {p->asked, p->asked_count},
            &p->call->conf->policy};
}

// An encoded body must not reach a client that did not say that it takes it.
bool is_encoding_asked_for(const Push* p) noexcept {
    for (const http::Field& line : p->response.fields.lines("Content-Encoding")) {
        const Bytes coding = http::trim(line.value);
        if (!base::equal_nocase(coding, "identity") && !(http::list_has(p->place.spec, "accept-encoding") &&
                                                         http::takes_encoding({p->asked, p->asked_count}, coding))) {
            return false;
        }
    }
    return true;
}

bool find_key(Push* p) noexcept {
    http::Reason reason = http::Reason::kNone;
    const Bytes key = cache::default_key_of(arena_of(p->call->request->pool), p->target);
    if (key.empty()) {
        return bad(p, "the URL is too long for a key");
    }
    if (!find_place(variant_of(p, key), p->response.fields, &p->place, &reason)) {
        return refuse(p, 422, "not storable", http::reason_sentence(reason), http::reason_word(reason));
    }
    return is_encoding_asked_for(p) || bad(p,
                                           "Content-Encoding needs Vary: Accept-Encoding, and an "
                                           "X-Request-Accept-Encoding that takes it");
}

bool read_fence(Push* p) noexcept {
    const http::Field* fence = request_fields(p->call->request).find("If-Purge-Seq");
    p->birth = p->call->birth;
    if (fence == nullptr) {
        return true;
    }
    // What is below was never a zone's: a count of one's own. A number of another zone, or of this one before nginx was
    // started anew, says nothing about what was purged here since. Nor does one that is yet to come: it would make the object
    // immune to the purges up to it.
    if (!http::read_fence(fence->value, &p->birth) || p->birth < shm::kLeastSeq) {
        return bad(p, "If-Purge-Seq is the \"seq\" of a purge");
    }
    if (!p->call->zone->store.is_own_seq(p->birth, p->call->birth)) {
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
    const http::Field* field = request_fields(p->call->request).find("Slab-Position");
    if (field == nullptr) {
        return true;
    }
    const cache::FleetArea* area = p->call->zone->fleet != nullptr ? fleet_of(p->call->zone) : nullptr;
    cache::StreamId id;
    if (area == nullptr || !cache::parse_stream_id(http::trim(field->value), &id)) {
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
    p->birth = ngx_min(p->birth, birth);
    p->is_fenced = true;
    return true;
}

bool read_selectors(Push* p) noexcept {
    const uint8_t* secret = p->call->zone->store.secret();
    p->selectors->add(kPushedIdentity);  // identity.h
    p->selectors->add_url(p->target.url, secret);
    const http::Fields fields = request_fields(p->call->request);
    for (const http::Field& field : fields) {
        http::TagReader tags(http::is_tag_field(field.name) ? field.value : Bytes{});
        Bytes tag;
        while (tags.next(&tag)) {
            p->selectors->add(cache::tag_selector(tag, secret));
        }
    }
    http::GroupReader groups(fields, http::kCacheGroups);
    Bytes group;
    while (groups.next(&group)) {
        p->selectors->add(cache::group_selector(p->target.url.host, group, secret));
        p->selectors->add(cache::tag_selector(group, secret));
    }
    if (p->selectors->settle()) {
        return true;
    }
    return p->selectors->is_out_of_memory()
               ? refuse(p, NGX_HTTP_INTERNAL_SERVER_ERROR, "out of memory", {})
               : refuse(p, 422, "not storable", http::reason_sentence(http::Reason::kTooManyTags),
                        http::reason_word(http::Reason::kTooManyTags));
}

bool build_head(Push* p) noexcept {
    ngx_http_request_t* r = p->call->request;
    size_t size = cache::kHeadFixedBytes + 2 * http::kDateBytes + 64;
    size_t wire = 0;
    for (size_t i = 0; i < p->lines; i++) {
        size += 2 * p->line[i].name.size() + p->line[i].value.size() + 4;
        wire += p->line[i].name.size() + p->line[i].value.size() + 4;
    }
    if (wire > p->call->conf->policy.max_header_bytes) {
        return refuse(p, 422, "not storable", http::reason_sentence(http::Reason::kHeadersTooBig),
                      http::reason_word(http::Reason::kHeadersTooBig));
    }
    auto* buffer = static_cast<char*>(ngx_palloc(r->pool, size));
    if (buffer == nullptr) {
        return refuse(p, NGX_HTTP_INTERNAL_SERVER_ERROR, "out of memory", {});
    }
    cache::HeadBuilder builder(buffer, size);
    for (size_t i = 0; i < p->lines; i++) {
        if (http::is_storable_field(p->line[i].name, p->response.fields, p->call->conf->policy) &&
            !base::equal_nocase(p->line[i].name, "Content-Length")) {
            builder.add(p->line[i].name, p->line[i].value);
        }
    }
    char date[http::kDateBytes];
    if (!p->response.fields.has("Date")) {
        http::format_date(p->freshness.date, date);
        builder.add("Date", {date, sizeof(date)});
    }
    const int64_t modified = http::parse_date(p->response.fields.get("Last-Modified"), wall_sec()).value_or(-1);
    if (!builder.finish(p->response.status, modified, stored_facts(p->response, p->freshness))) {
        return bad(p, "a header field is too long");
    }
    p->head = builder.head();
    return true;
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

// By the rules themselves: one that counts already may not be published yet, and is never held against what is born now.
bool purged_by_glob(const Push* p) noexcept {
    const UserArea* area = user_area(p->call->zone);
    const cache::Url& url = p->target.url;
    return area != nullptr &&
           cache::judge_globs(area->globs, {url.host, url.path, url.args, p->selectors->data(), p->selectors->size()},
                              p->birth) != cache::GlobAnswer::kNone;
}

// Then what was invalidated since the fence has a record, as long as that lives.
bool was_stored_before(Push* p) noexcept {
    shm::Store& store = p->call->zone->store;
    shm::Pin pin;
    if (store.find(cache::digest(p->place.key, store.secret()), p->place.key, &pin) != shm::Status::kOk) {
        return false;
    }
    const bool before = shm::Store::birth(pin) < p->birth;
    store.unpin(&pin);
    return before;
}

// Workers of another zone of this name run too (succession.h): those of the one that this zone took the place of, or of the one
// that took its. What they have of the URL is older than the push, and only a purge reaches it.
bool has_others(Zone* zone) noexcept { return zone->store.has_open_prior() || has_successor(zone); }

// The URL goes in all zones of this name, and the push is born at that very purge. False: one came in between, and whether it
// was of this URL cannot be told any more.
bool purge_elsewhere(Push* p) noexcept {
    const uint64_t seq = p->call->zone->store.purge(&p->selectors->data()[1], 1, shm::PurgeMode::kHard);
    const bool is_next = seq == p->birth + 1;
    p->birth = seq;
    return is_next;
}

// From now on the push is younger than any fill that began before: those would bring back what it replaces. What was purged
// up to now is held against it here, what is purged later by its birth. False: it has been answered.
bool settle_birth(Push* p) noexcept {
    Zone* zone = p->call->zone;
    if (zone->priors != 0 && is_behind_on_globs(*zone)) {
        import_globs(zone);
    }
    const uint64_t url = p->selectors->data()[1];
    p->fence = p->is_fenced ? p->birth : 0;
    list_url(zone, url);
    count_push(zone, url);
    if (p->is_fenced && is_unheard_since(zone, url, p->birth) && !was_stored_before(p)) {
        return explain_failure(p, shm::Status::kPurged);
    }
    const uint64_t now = zone->store.advance();
    if (now == 0) {
        return explain_failure(p, shm::Status::kBusy);
    }
    const shm::Validity validity = zone->store.validity_of(p->selectors->data(), p->selectors->size(), p->birth);
    if (purged_by_glob(p) || validity == shm::Validity::kPurged ||
        (p->is_fenced && validity != shm::Validity::kValid)) {
        return explain_failure(p, shm::Status::kPurged);
    }
    if (validity == shm::Validity::kValid) {
        p->birth = now;
        p->is_purged_elsewhere = has_others(zone);
        if (p->is_purged_elsewhere && !purge_elsewhere(p)) {
            return explain_failure(p, shm::Status::kBusy);
        }
        note_push(zone, url, p->birth);
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
    shm::Store& store = p->call->zone->store;
    if (!settle_birth(p)) {
        return false;
    }
    const http::StoredFacts facts = stored_facts(p->response, p->freshness);
    shm::NewEntry what;
    what.key = p->place.key;
    what.digest = cache::digest(what.key, store.secret());
    what.head = p->head;
    what.selectors = p->selectors->data();
    what.selector_count = p->selectors->size();
    what.birth = p->birth;
    what.fresh_until_sec = facts.fresh_until;
    what.stale_until_sec = http::useful_until(facts);
    what.body_bytes = static_cast<int64_t>(p->call->body.size());
    what.flags = cache::kPushedFlag;
    what.rival_flags = p->is_fenced ? cache::kPushedFlag : 0;
    what.rival_since = p->fence;
    shm::Writer writer;
    shm::Status status = store.begin(what, now_sec(), &writer);
    if (status == shm::Status::kOk && !p->call->body.empty()) {
        status = store.append(&writer, p->call->body, now_sec());
    }
    if (status == shm::Status::kOk) {
        status = store.commit(&writer, now_sec());
    }
    store.abort(&writer);
    if (status != shm::Status::kOk) {
        return explain_failure(p, status);
    }
    // The key was found uncacheable a moment ago: no longer.
    store.mark_set(what.digest, 0, 0);
    if (!p->place.spec.empty()) {
        const Bytes key = cache::default_key_of(arena_of(p->call->request->pool), p->target);
        write_marker(variant_of(p, key), p->place.spec, what);
        store.mark_set(cache::digest(key, store.secret()), 0, 0);
    }
    return is_known_elsewhere(p);
}

}  // namespace

bool is_push_field(Bytes name) noexcept {
    return !http::pushed_name(name).empty() || has_prefix(name, kRequestPrefix) || http::is_tag_field(name) ||
           base::equal_nocase(name, "If-Purge-Seq") || base::equal_nocase(name, "Slab-Position");
}

ngx_int_t push_entry(Call* call) noexcept {
    auto* p = pool_new<Push>(call->request->pool);
    Bytes url;
    if (p == nullptr) {
        return NGX_ERROR;
    }
    cache::SelectorList selectors(arena_of(call->request->pool));
    p->selectors = &selectors;
    p->call = call;
    if (!query_argument(call->request, "url", &url) || url.empty()) {
        (void) bad(p, kNoTarget);
        return p->answered;
    }
    if (!parse_target(call->request, url, &p->target)) {
        (void) bad(p, kBadTarget);
        return p->answered;
    }
    if (!read_fields(p) || !read_response(p) || !find_key(p) || !read_fence(p) || !read_position(p) ||
        !read_selectors(p) || !build_head(p) || !is_served(p) || !store(p)) {
        return p->answered;
    }
    count(call->zone, Counter::kPushes);
    return send_json(call->request, NGX_HTTP_CREATED,
                     json_pack("{s:b, s:I, s:I, s:o}", "stored", 1, "birth", static_cast<json_int_t>(p->birth),
                               "ttl_sec", static_cast<json_int_t>(p->freshness.fresh_until - wall_sec()), "key",
                               key_json(p->place.key, call->zone->store.secret())));
}

}  // namespace slab_cache::ngx
