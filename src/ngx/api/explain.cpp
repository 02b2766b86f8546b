#include "ngx/glue/ngx.h"

#include "ngx/api/explain.h"

#include <jansson.h>

#include "cache/variant_marker.h"
#include "ngx/api/api.h"
#include "ngx/glue/clock.h"
#include "ngx/api/entry_json.h"
#include "ngx/api/explain_words.h"
#include "ngx/request/identity.h"
#include "ngx/zone/hit_for_miss.h"
#include "ngx/glue/reply.h"
#include "ngx/request/heavy_hitters.h"
#include "ngx/purge/purge_batch_run.h"
#include "ngx/api/target_url.h"
#include "ngx/zone/user_area.h"
#include "ngx/zone/validity.h"

namespace slab_cache::ngx {
namespace {

constexpr uint64_t kScanUs = 20000;  // a turn of the event loop in which others wait
constexpr uint32_t kBucketsPerStep = 256;
constexpr size_t kMaxListed = 64;

bool read_target(Call* call, Target* target, ngx_int_t* rc) noexcept {
    Bytes text;
    if (!query_argument(call->request, "url", &text) || text.empty()) {
        *rc = send_problem(call->request, NGX_HTTP_BAD_REQUEST, "no URL", kNoTarget);
        return false;
    }
    if (!parse_target(call->request, text, target)) {
        *rc = send_problem(call->request, NGX_HTTP_BAD_REQUEST, "invalid URL", kBadTarget);
        return false;
    }
    return true;
}

struct Scan {
    Zone* zone;
    UrlOf url;
    uint64_t selector;
    uint64_t inner;  // what it is called behind another URL
    json_t* list;
    bool is_complete;
    bool is_stored;   // something that is no marker and may be served
    bool was_purged;  // such a thing lies there, and a purge took it
};

void look_at(const shm::Pin& pin, void* data) noexcept {
    auto* scan = static_cast<Scan*>(data);
    if (!has_selector(pin, scan->selector) && !has_selector(pin, scan->inner)) {
        return;
    }
    const shm::Validity validity = validity_of(scan->zone, scan->url, pin);
    const bool is_object = (shm::Store::flags(pin) & (cache::kMarkerFlag | cache::kHintsFlag)) == 0;
    const bool is_purged = validity == shm::Validity::kPurged;
    scan->is_stored = scan->is_stored || (is_object && !is_purged);
    scan->was_purged = scan->was_purged || (is_object && is_purged);
    if (json_array_size(scan->list) < kMaxListed) {
        json_array_append_new(scan->list, entry_json(scan->url.pool, scan->zone, pin, validity));
    }
}

// Variants and objects under other keys: whatever carries the URL's selector.
void scan_zone(Scan* scan) noexcept {
    const uint64_t end = clock_us() + kScanUs;
    uint64_t cursor = 0;
    do {
        scan->zone->store.visit(&cursor, kBucketsPerStep, look_at, scan);
    } while (cursor != 0 && clock_us() < end);
    scan->is_complete = cursor == 0;
}

// Looks where the default key leads, in all slots. True when plain objects are all there is: variants are found by a walk.
bool look_up(Scan* scan, Bytes key) noexcept {
    shm::Store& store = scan->zone->store;
    auto* slot_key = static_cast<char*>(ngx_pnalloc(scan->url.pool, key.size() + cache::kSlotBytes));
    bool found = false;
    bool has_marker = false;
    for (uint32_t slot = 0; slot < cache::kSlots; slot++) {
        Bytes where = key;
        if (slot != 0) {
            if (slot_key == nullptr) {
                return false;
            }
            ngx_memcpy(slot_key, key.data(), key.size());
            where = cache::add_slot(slot_key, key.size(), slot);
        }
        shm::Pin pin;
        if (store.find(cache::digest(where, store.secret()), where, &pin) != shm::Status::kOk) {
            continue;
        }
        if (cache::is_marker(shm::Store::flags(pin))) {
            has_marker = true;
        } else {
            look_at(pin, scan);
            found = true;
        }
        store.unpin(&pin);
    }
    if (has_marker) {
        json_array_clear(scan->list);  // the walk comes by them again
    }
    return found && !has_marker;
}

struct RouteRows {
    cache::SketchRow lost;  // zeroed where the route was not seen
    cache::SketchRow served;
};

void find_route(Call* call, const Target& target, RouteRows* out) noexcept {
    UserArea* area = user_area(call->zone);
    Bytes name;
    *out = {};
    if (area == nullptr || !route_name(call->request->pool, target.url.host, target.uri, &name)) {
        return;
    }
    const uint64_t fingerprint = route_fingerprint(call->zone, name);
    (void) cache::sketch_find(&area->lost, fingerprint, now_ms(), &out->lost);
    (void) cache::sketch_find(&area->served, fingerprint, now_ms(), &out->served);
}

json_t* route_json(const RouteRows& rows) noexcept {
    return json_pack("{s:I, s:I, s:I, s:I}", "hits", json_int_t{rows.served.count}, "saved_us",
                     static_cast<json_int_t>(rows.served.weight), "misses", json_int_t{rows.lost.count}, "lost_us",
                     static_cast<json_int_t>(rows.lost.weight));
}

// What the marks of one identity say, for whatever kind of request.
http::Reason marked(Zone* zone, const shm::Digest& digest, uint64_t identity) noexcept {
    for (uint8_t kind : {kAnybody, kHasCookie, kHasCredentials}) {
        const http::Reason reason = uncacheable_reason(zone, mark_digest(digest, identity, kind));
        if (reason != http::Reason::kNone) {
            return reason;
        }
    }
    return origin_failing(zone, with_identity(digest, identity)) ? http::Reason::kOriginError : http::Reason::kNone;
}

// The marks of the last seconds first, of whichever location; then a purge that nobody has asked after; else the last reason that
// the route was seen with.
http::Reason why(Call* call, const shm::Digest& digest, const RouteRows& rows, bool was_purged) noexcept {
    http::Reason reason = marked(call->zone, digest, kExplicitIdentity);
    const ngx_array_t& all = main_conf(call->request)->identities;
    const auto* identity = static_cast<uint64_t*>(all.elts);
    for (ngx_uint_t i = 0; i < all.nelts && reason == http::Reason::kNone; i++) {
        reason = marked(call->zone, digest, identity[i]);
    }
    if (reason == http::Reason::kNone && was_purged) {
        reason = http::Reason::kPurged;
    }
    if (reason == http::Reason::kNone && rows.lost.count != 0 && rows.lost.note < http::kReasonCount) {
        reason = static_cast<http::Reason>(rows.lost.note);
    }
    return reason != http::Reason::kNone ? reason : http::Reason::kNotStored;
}

json_t* why_json(http::Reason reason) noexcept {
    return json_pack("{s:o, s:o}", "reason", json_text(http::reason_word(reason)), "sentence",
                     json_text(http::reason_sentence(reason)));
}

// Tags are kept as hashes: only a question about one can be answered.
json_t* tag_json(Call* call, const Target& target) noexcept {
    Bytes tag;
    if (!query_argument(call->request, "tag", &tag) || tag.empty()) {
        return nullptr;
    }
    shm::Pin pin;
    const Bytes key = cache::default_key_of(arena_of(call->request->pool), target);
    const uint8_t* secret = call->zone->store.secret();
    const bool found = call->zone->store.find(cache::digest(key, secret), key, &pin) == shm::Status::kOk;
    const bool has = found && has_selector(pin, cache::tag_selector(tag, secret));
    call->zone->store.unpin(&pin);
    return json_pack("{s:o, s:b}", "tag", json_text(tag), "present", has ? 1 : 0);
}

json_t* explanation(Call* call, const Target& target, Bytes key) noexcept {
    const uint8_t* secret = call->zone->store.secret();
    const shm::Digest digest = cache::digest(key, secret);
    Scan scan{call->zone,
              {call->request->pool, target.url.host, target.uri},
              cache::url_selector(target.url, secret),
              cache::inner_url_selector(target.url, secret),
              json_array(),
              true,
              false,
              false};
    if (!look_up(&scan, key)) {
        scan_zone(&scan);
    }
    json_t* answer = json_object();
    json_object_set_new(answer, "host", json_text(target.url.host));
    json_object_set_new(answer, "uri", json_text(target.uri));
    json_object_set_new(answer, "key", key_json(key, secret));
    json_object_set_new(answer, "stored", json_boolean(scan.is_stored));
    json_object_set_new(answer, "entries", scan.list);
    json_object_set_new(answer, "complete", json_boolean(scan.is_complete));
    json_object_set_new(answer, "purge_seq", json_integer(static_cast<json_int_t>(call->zone->store.purge_seq())));
    RouteRows rows;
    find_route(call, target, &rows);
    json_object_set_new(answer, "route", route_json(rows));
    const http::Reason reason = scan.is_stored ? http::Reason::kNone : why(call, digest, rows, scan.was_purged);
    if (!scan.is_stored) {
        json_object_set_new(answer, "why", why_json(reason));
    }
    json_object_set_new(answer, "sentence", sentence_json(scan.list, reason, scan.is_complete));
    if (json_t* tag = tag_json(call, target)) {
        json_object_set_new(answer, "tag", tag);
    }
    return answer;
}

}  // namespace

ngx_int_t explain_entry(Call* call) noexcept {
    Target target;
    ngx_int_t rc = NGX_ERROR;
    if (!read_target(call, &target, &rc)) {
        return rc;
    }
    const Bytes key = cache::default_key_of(arena_of(call->request->pool), target);
    if (key.empty()) {
        return send_problem(call->request, NGX_HTTP_BAD_REQUEST, "invalid URL", "too long for a key");
    }
    return send_json(call->request, NGX_HTTP_OK, explanation(call, target, key));
}

ngx_int_t purge_entry(Call* call) noexcept {
    Target target;
    ngx_int_t rc = NGX_ERROR;
    if (!read_target(call, &target, &rc)) {
        return rc;
    }
    Selection selection;
    if (!init_selection(&selection, call->request, call->zone, 1)) {
        return NGX_ERROR;
    }
    // Exactly this URL, even where it ends in "/*".
    return cache::select_exactly(&selection, target.url) ? purge_and_answer(&selection) : NGX_ERROR;
}

}  // namespace slab_cache::ngx
