#include "ngx/glue/ngx.h"

#include "ngx/api/explain_request.h"

#include "cache/key.h"
#include "cache/stored_head.h"
#include "cache/variant_marker.h"
#include "http/escape.h"
#include "http/vary.h"
#include "ngx/api/api.h"
#include "ngx/api/entry_json.h"
#include "ngx/conf/location_identity.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxFields = 32;
constexpr Bytes kTooMany = "at most 32 header= in a question";
constexpr Bytes kNoColon =
    "header= is Name:value, percent-encoded, as in header=Cookie:%20sessionid%3Dx; one has no colon";
constexpr Bytes kNoName = "header= is Name:value, percent-encoded; what is before the colon is no name of a field";
constexpr Bytes kControl = "header= is Name:value, percent-encoded; a value has a control character";
constexpr Bytes kNoMemory = "out of memory";

bool has_control(Bytes text) noexcept {
    for (const char c : text) {
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F) {
            return true;
        }
    }
    return false;
}

Bytes read_field(Bytes line, http::Field* out) noexcept {
    const size_t colon = line.find(':');
    if (colon == Bytes::npos) {
        return kNoColon;
    }
    *out = {base::slice(line, 0, colon), http::trim(base::slice(line, colon + 1))};
    return !http::is_token(out->name) ? kNoName : has_control(out->value) ? kControl : Bytes{};
}

// What GETs are answered with.
bool is_for_get(const shm::Pin& pin, uint64_t* identity) noexcept {
    if ((shm::Store::flags(pin) & (cache::kMarkerFlag | cache::kHintsFlag)) != 0) {
        return false;
    }
    uint32_t n = 0;
    const uint64_t* selector = shm::Store::selectors(pin, &n);
    *identity = n != 0 ? selector[0] : 0;
    *identity = *identity == kSliceIdentity ? kExplicitIdentity : *identity;
    return *identity != kHeadIdentity && *identity != kPostIdentity;
}

// A location with this policy may have stored it. Variables and rewrites make identities that no location has by itself.
bool may_be_of(const Fitting* fitting, uint64_t identity, const http::VaryPolicy& policy) noexcept {
    const ngx_array_t& all = main_conf(fitting->call->request)->locations;
    const auto* const* location = static_cast<const LocConf* const*>(all.elts);
    bool is_known = identity < kReservedIdentities && identity != kPushedIdentity;
    for (ngx_uint_t i = 0; i < all.nelts; i++) {
        const LocConf* conf = location[i];
        const bool is_its = identity == (conf->key != nullptr ? kExplicitIdentity : conf->identity);
        is_known = is_known || is_its;
        if (is_its && http::makes_same_keys(conf->policy.vary, policy)) {
            return true;
        }
    }
    return !is_known;
}

// May be given to who sends credentials, or they are not sent.
bool is_shared(const Fitting* fitting, const shm::Pin& pin) noexcept {
    cache::HeadFixed head;
    return fitting->request->kind != kHasCredentials || (cache::decode_facts(shm::Store::head(pin), &head) &&
                                                         (head.facts.flags & http::fact::kSharesAuthorization) != 0);
}

void add_fitting(Fitting* fitting, size_t index) noexcept {
    for (uint32_t i = 0; i < fitting->count; i++) {
        if (fitting->index[i] == index) {
            return;
        }
    }
    if (fitting->count < kMaxFitting) {
        fitting->index[fitting->count++] = index;
    }
}

void keep_marker(Fitting* fitting, const shm::Pin& pin) noexcept {
    const Bytes key = shm::Store::key(pin);
    const Bytes head = shm::Store::head(pin);
    for (uint32_t i = 0; i < fitting->marker_count; i++) {
        if (fitting->marker[i].key == key) {
            return;
        }
    }
    auto* copy = static_cast<char*>(ngx_pnalloc(fitting->url.pool, key.size() + head.size() + 1));
    if (fitting->marker_count == kMaxMarkersTried || copy == nullptr) {
        return;
    }
    ngx_memcpy(copy, key.data(), key.size());
    ngx_memcpy(copy + key.size(), head.data(), head.size());
    fitting->marker[fitting->marker_count++] = {{copy, key.size()}, {copy + key.size(), head.size()}};
}

// The list has it already where the walk came by.
size_t index_of(Fitting* fitting, const shm::Pin& pin, shm::Validity validity) noexcept {
    json_t* entry = entry_json(fitting->url.pool, fitting->call->zone, pin, validity);
    const json_t* key = json_object_get(entry, "key");
    const json_t* birth = json_object_get(entry, "birth");
    for (size_t i = 0; i < json_array_size(fitting->list); i++) {
        const json_t* other = json_array_get(fitting->list, i);
        if (json_equal(json_object_get(other, "key"), key) != 0 &&
            json_equal(json_object_get(other, "birth"), birth) != 0) {
            json_decref(entry);
            return i;
        }
    }
    json_array_append_new(fitting->list, entry);
    return json_array_size(fitting->list) - 1;
}

void try_key(Fitting* fitting, Bytes key, const http::VaryPolicy& policy) noexcept {
    shm::Store& store = fitting->call->zone->store;
    const shm::Digest digest = cache::digest(key, store.secret());
    if (fitting->looked_count < kMaxLooked) {
        fitting->looked[fitting->looked_count++] = digest;
    }
    shm::Pin pin;
    if (store.find(digest, key, &pin) != shm::Status::kOk) {
        return;
    }
    const shm::Validity validity = validity_of(fitting->call->zone, fitting->url, pin);
    uint64_t identity = 0;
    if (validity != shm::Validity::kPurged && is_for_get(pin, &identity) && may_be_of(fitting, identity, policy)) {
        if (is_shared(fitting, pin)) {
            add_fitting(fitting, index_of(fitting, pin, validity));
        } else {
            fitting->is_refused = true;
        }
    }
    store.unpin(&pin);
}

void try_marker(Fitting* fitting, Bytes primary, const cache::Marker& marker) noexcept {
    const ngx_array_t& all = main_conf(fitting->call->request)->vary_policies;
    const auto* const* policy = static_cast<const http::VaryPolicy* const*>(all.elts);
    for (uint32_t s = 0; s < marker.spec_count; s++) {
        for (ngx_uint_t i = 0; i < all.nelts; i++) {
            Bytes key;
            if (cache::variant_key(arena_of(fitting->url.pool), primary, marker.spec[s], fitting->request->fields,
                                   *policy[i], &key)) {
                try_key(fitting, key, *policy[i]);
            }
        }
    }
}

}  // namespace

Bytes read_asked_request(ngx_http_request_t* r, AskedRequest* out) noexcept {
    Bytes query = view(r->args);
    Bytes raw;
    auto* fields = static_cast<http::Field*>(ngx_palloc(r->pool, kMaxFields * sizeof(http::Field)));
    char* text = arena_of(r->pool).get(query.size());
    if (fields == nullptr || text == nullptr) {
        return kNoMemory;
    }
    size_t n = 0;
    for (; http::next_argument(&query, "header", &raw); n++) {
        if (n == kMaxFields) {
            return kTooMany;
        }
        const Bytes line{text, http::unescape(raw, text)};
        text += line.size();
        const Bytes problem = read_field(line, &fields[n]);
        if (!problem.empty()) {
            return problem;
        }
    }
    out->is_given = n != 0;
    out->fields = {fields, n};
    out->kind = out->fields.has("Authorization") ? kHasCredentials : out->fields.has("Cookie") ? kHasCookie : kAnybody;
    return {};
}

void look_whether_it_fits(Fitting* fitting, const shm::Pin& pin, size_t index) noexcept {
    const cache::KeyShape shape = cache::shape_of(shm::Store::key(pin));
    if (cache::is_marker(shm::Store::flags(pin))) {
        if (!shape.has_hidden) {
            keep_marker(fitting, pin);
        }
        return;
    }
    uint64_t identity = 0;
    if (!is_for_get(pin, &identity)) {
        return;
    }
    fitting->is_unknown = fitting->is_unknown || shape.has_hidden;
    if (shape.has_hidden || shape.is_variant || index == kNotListed) {
        return;
    }
    if (is_shared(fitting, pin)) {
        add_fitting(fitting, index);
    } else {
        fitting->is_refused = true;
    }
}

void forget_objects(Fitting* fitting) noexcept {
    fitting->count = 0;
    fitting->is_refused = false;
    fitting->is_unknown = false;
}

Fits try_variants(Fitting* fitting) noexcept {
    for (uint32_t i = 0; i < fitting->marker_count; i++) {
        cache::Marker marker;
        if (cache::decode_marker(fitting->marker[i].head, &marker)) {
            try_marker(fitting, fitting->marker[i].key, marker);
        }
    }
    return fitting->count != 0 ? Fits::kYes : fitting->is_unknown ? Fits::kUnknown : Fits::kNo;
}

const json_t* fitting_json(const Fitting& fitting, Fits fits, json_t* answer) noexcept {
    json_t* entries = json_array();
    for (uint32_t i = 0; i < fitting.count; i++) {
        json_array_append_new(entries, json_integer(static_cast<json_int_t>(fitting.index[i])));
    }
    json_t* said = json_object();
    json_object_set_new(said, "fits", fits == Fits::kUnknown ? json_null() : json_boolean(fits == Fits::kYes));
    json_object_set_new(said, "entries", entries);
    json_object_set_new(answer, "request", said);
    return said;
}

}  // namespace slab_cache::ngx
