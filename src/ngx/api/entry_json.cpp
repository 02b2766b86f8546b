#include "ngx/glue/ngx.h"

#include "ngx/api/entry_json.h"

#include <jansson.h>

#include "cache/stored_head.h"
#include "cache/hidden.h"
#include "cache/key.h"
#include "cache/variant_marker.h"
#include "ngx/glue/reply.h"
#include "ngx/zone/zone.h"
#include "ngx/zone/whole_head.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kKeyShown = 1024;

void put(json_t* to, const char* name, int64_t value) noexcept { json_object_set_new(to, name, json_integer(value)); }

void put_header(json_t* list, const cache::StoredField& field, const uint8_t* secret) noexcept {
    char text[kKeyShown];
    http::Output out(text, sizeof(text));
    Bytes value = field.value;
    if (field.lowcase == "set-cookie") {
        cache::put_hidden_cookie(&out, value, secret);
        value = {text, out.fits() ? out.length() : sizeof(text)};
    }
    json_array_append_new(list, json_pack("[o, o]", json_text(field.name), json_text(value)));
}

Bytes validity_word(shm::Validity validity) noexcept {
    switch (validity) {
    case shm::Validity::kValid:
        return "valid";
    case shm::Validity::kSoftPurged:
        return "soft_purged";
    case shm::Validity::kDoubted:
        return "doubted";
    case shm::Validity::kPurged:
        break;
    }
    return "purged";
}

json_t* headers_json(const cache::StoredResponse& stored, const uint8_t* secret) noexcept {
    json_t* list = json_array();
    Bytes rest = stored.fields;
    cache::StoredField field;
    for (uint16_t i = 0; i < stored.field_count && cache::next_field(&rest, &field); i++) {
        if (!base::starts_with(field.name, ":")) {  // controls.h
            put_header(list, field, secret);
        }
    }
    return list;
}

void put_response(json_t* to, const cache::StoredResponse& stored, const uint8_t* secret) noexcept {
    const int64_t now = now_sec();
    put(to, "status", stored.status);
    put(to, "age_sec", http::current_age(stored.facts, now));
    put(to, "ttl_sec", stored.facts.fresh_until - now);
    json_object_set_new(to, "fresh", json_boolean(now < stored.facts.fresh_until));
    put(to, "stale_while_revalidate_sec", stored.facts.stale_while_until - stored.facts.fresh_until);
    put(to, "stale_if_error_sec", stored.facts.stale_if_error_until - stored.facts.fresh_until);
    json_object_set_new(to, "headers", headers_json(stored, secret));
}

void put_marker(json_t* to, Bytes head) noexcept {
    cache::Marker marker;
    json_t* specs = json_array();
    if (cache::decode_marker(head, &marker)) {
        for (uint32_t i = 0; i < marker.spec_count; i++) {
            json_array_append_new(specs, json_text(marker.spec[i]));
        }
        put(to, "variants_stored", marker.variant_count);
    }
    json_object_set_new(to, "vary", specs);
}

}  // namespace

json_t* key_json(Bytes key, const uint8_t* secret) noexcept {
    char text[kKeyShown];
    const size_t size = cache::printable_key(key, secret, text, sizeof(text));
    return json_text({text, size < sizeof(text) ? size : sizeof(text)});
}

bool has_selector(const shm::Pin& pin, uint64_t selector) noexcept {
    uint32_t n = 0;
    const uint64_t* list = shm::Store::selectors(pin, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (list[i] == selector) {
            return true;
        }
    }
    return false;
}

json_t* entry_json(ngx_pool_t* pool, Zone* zone, const shm::Pin& pin, shm::Validity validity) noexcept {
    json_t* entry = json_object();
    const uint8_t* secret = zone->store.secret();
    uint32_t selectors = 0;
    (void) shm::Store::selectors(pin, &selectors);
    json_object_set_new(entry, "key", key_json(shm::Store::key(pin), secret));
    json_object_set_new(entry, "validity", json_text(validity_word(validity)));
    put(entry, "birth", static_cast<int64_t>(shm::Store::birth(pin)));
    put(entry, "selectors", selectors);
    put(entry, "bytes", static_cast<int64_t>(zone->store.occupied_bytes(pin)));
    cache::StoredResponse stored;
    if (cache::is_marker(shm::Store::flags(pin))) {
        put_marker(entry, shm::Store::head(pin));
        return entry;
    }
    if ((shm::Store::flags(pin) & cache::kHintsFlag) != 0) {
        json_object_set_new(entry, "early_hints", json_text(shm::Store::head(pin)));
        return entry;
    }
    put(entry, "body_bytes", shm::Store::body_length(pin));
    put(entry, "fill_cost_us", shm::Store::fill_cost_us(pin));
    put(entry, "uses", shm::Store::hits(pin));
    if (cache::decode_head(whole_head(pool, zone->store, pin), &stored)) {
        put_response(entry, stored, secret);
    }
    return entry;
}

}  // namespace slab_cache::ngx
