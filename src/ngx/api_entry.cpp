#include "ngx/ngx.h"

#include "ngx/api_entry.h"

#include <jansson.h>

#include "cache/variant.h"
#include "ngx/api.h"
#include "ngx/entry_json.h"
#include "ngx/marks.h"
#include "ngx/reply.h"
#include "ngx/selection.h"
#include "ngx/target.h"

namespace slab_cache::ngx {
namespace {

constexpr uint64_t kScanUs = 20000;        // a turn of the event loop in which others wait
constexpr uint32_t kBucketsPerStep = 256;
constexpr size_t kMaxListed = 64;

bool read_target(Call* call, Target* target, ngx_int_t* rc) noexcept {
    Bytes text;
    if (!query_argument(call->request, "url", &text)) {
        *rc = send_problem(call->request, NGX_HTTP_BAD_REQUEST, "no URL", "say entry?url=…");
        return false;
    }
    if (!parse_target(call->request, text, target)) {
        *rc = send_problem(call->request, NGX_HTTP_BAD_REQUEST, "invalid URL", text);
        return false;
    }
    return true;
}

uint64_t now_us() noexcept {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1000000 + static_cast<uint64_t>(t.tv_nsec) / 1000;
}

struct Scan {
    Zone* zone;
    uint64_t selector;
    json_t* list;
    bool is_complete;
    bool is_stored;      // something that is no marker and may be served
};

void look_at(const shm::Pin& pin, void* data) noexcept {
    auto* scan = static_cast<Scan*>(data);
    if (!has_selector(pin, scan->selector)) {
        return;
    }
    const bool is_marker = cache::is_marker(shm::Store::flags(pin));
    scan->is_stored = scan->is_stored
                      || (!is_marker && scan->zone->store.validity(pin) != shm::Validity::kPurged);
    if (json_array_size(scan->list) < kMaxListed) {
        json_array_append_new(scan->list, entry_json(scan->zone, pin));
    }
}

// Variants and objects under other keys: whatever carries the URL's selector.
void scan_zone(Scan* scan) noexcept {
    const uint64_t end = now_us() + kScanUs;
    uint64_t cursor = 0;
    do {
        scan->zone->store.visit(&cursor, kBucketsPerStep, look_at, scan);
    } while (cursor != 0 && now_us() < end);
    scan->is_complete = cursor == 0;
}

// Looks where the default key leads; a plain object there is all there is to say.
bool look_up(Scan* scan, const shm::Digest& digest, Bytes key) noexcept {
    shm::Pin pin;
    if (scan->zone->store.find(digest, key, &pin) != shm::Status::kOk) {
        return false;
    }
    const bool is_plain = !cache::is_marker(shm::Store::flags(pin));
    if (is_plain) {
        look_at(pin, scan);
    }
    scan->zone->store.unpin(&pin);
    return is_plain;
}

json_t* why_json(Zone* zone, const shm::Digest& digest) noexcept {
    http::Reason reason = uncacheable_reason(zone, digest);
    if (reason == http::Reason::kNone) {
        reason = uncacheable_reason(zone, mark_digest(digest, true));
    }
    if (reason == http::Reason::kNone) {
        reason = origin_failing(zone, digest) ? http::Reason::kOriginError : http::Reason::kNotStored;
    }
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
    const Bytes key = default_key_of(call->request->pool, target);
    const uint8_t* secret = call->zone->store.secret();
    const bool found = call->zone->store.find(cache::digest(key, secret), key, &pin) == shm::Status::kOk;
    const bool has = found && has_selector(pin, cache::tag_selector(tag, secret));
    call->zone->store.unpin(&pin);
    return json_pack("{s:o, s:b}", "tag", json_text(tag), "present", has ? 1 : 0);
}

json_t* explanation(Call* call, const Target& target, Bytes key) noexcept {
    const uint8_t* secret = call->zone->store.secret();
    const shm::Digest digest = cache::digest(key, secret);
    Scan scan{call->zone, cache::url_selector(target.url, secret), json_array(), true, false};
    if (!look_up(&scan, digest, key)) {
        scan_zone(&scan);
    }
    char text[1024];
    json_t* answer = json_object();
    json_object_set_new(answer, "host", json_text(target.url.host));
    json_object_set_new(answer, "uri", json_text(target.uri));
    json_object_set_new(answer, "key", json_text({text, cache::printable_key(key, text, sizeof(text))}));
    json_object_set_new(answer, "stored", json_boolean(scan.is_stored));
    json_object_set_new(answer, "entries", scan.list);
    json_object_set_new(answer, "complete", json_boolean(scan.is_complete));
    json_object_set_new(answer, "purge_seq",
                        json_integer(static_cast<json_int_t>(call->zone->store.purge_seq())));
    if (!scan.is_stored) {
        json_object_set_new(answer, "why", why_json(call->zone, digest));
    }
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
    const Bytes key = default_key_of(call->request->pool, target);
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
    selection.accepted = 1;
    selection.selector[selection.count++] =
        cache::url_selector(target.url, call->zone->store.secret());
    return purge_and_answer(&selection);
}

}  // namespace slab_cache::ngx
