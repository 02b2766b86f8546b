#include "http/storable.h"

#include "http/field_judge.h"
#include "http/invalidate.h"
#include "http/slice.h"
#include "http/syntax.h"
#include "http/tags.h"
#include "http/vary.h"

namespace slab_cache::http {

namespace {

// Does the response vary on something that no key can express? `*`, a member that is no field name, more names than one holds.
VarySpec spec_of(const Fields& fields, const Policy& policy) noexcept {
    char unused[1];
    return build_vary_spec(fields, policy.vary, unused, 0);
}

// Compressed in a way that the normalised Accept-Encoding does not tell from others.
bool has_foreign_encoding(const Fields& fields) noexcept {
    for (const Field& line : fields.lines("Content-Encoding")) {
        if (!is_known_encoding(trim(line.value))) {
            return true;
        }
    }
    return false;
}

bool varies_on(const Fields& fields, Bytes name) noexcept {
    FieldListReader reader(fields, "Vary");
    for (Bytes member; reader.next(&member);) {
        if (base::equal_nocase(member, name)) {
            return true;
        }
    }
    return false;
}

Reason vary_reason(const Fields& fields, const Policy& policy) noexcept {
    if (ignores(policy, ignore::kVary) || !fields.has("Vary")) {
        return Reason::kNone;
    }
    if (const VarySpec spec = spec_of(fields, policy); spec.star) {
        return spec.too_many ? Reason::kKeyTooLong : Reason::kVaryStar;
    }
    const bool told_apart = !varies_on(fields, "Accept-Encoding") || !has_foreign_encoding(fields);
    return told_apart ? Reason::kNone : Reason::kVariant;
}

// A number, or the same number several times, as a list or in several lines (RFC 9110 8.6).
bool is_length(Bytes value, Bytes* seen) noexcept {
    for (size_t at = 0; at <= value.size();) {
        const size_t comma = value.find(',', at);
        const Bytes one = trim(base::slice(value, at, comma == Bytes::npos ? comma : comma - at));
        if (one.empty() || one.find_first_not_of("0123456789") != Bytes::npos || (!seen->empty() && one != *seen)) {
            return false;
        }
        *seen = one;
        at = comma == Bytes::npos ? value.size() + 1 : comma + 1;
    }
    return true;
}

// What RFC 9112 6.3 calls an unrecoverable error, or one that ought to be handled as such: somebody else on the way may have
// taken another part of it for the body.
Reason framing_reason(const Fields& fields) noexcept {
    bool is_coded = false;
    bool is_sound = true;
    Bytes length;
    for (const Field& field : fields) {
        if (field.name.size() == sizeof("Content-Length") - 1 && base::equal_nocase(field.name, "Content-Length")) {
            is_sound = is_length(field.value, &length) && is_sound;
        } else if (field.name.size() == sizeof("Transfer-Encoding") - 1) {
            is_coded = base::equal_nocase(field.name, "Transfer-Encoding") || is_coded;
        }
    }
    return is_sound && !(is_coded && !length.empty()) ? Reason::kNone : Reason::kFraming;
}

// Without a validator parts of two versions look the same (RFC 9110 15.3.7.3). Whoever writes slab_cache_valid for 206 says that
// the files do not change.
bool is_kept_part(const Request& request, const Response& response, const Freshness& freshness,
                  const Policy& policy) noexcept {
    ContentRange part;
    return request.slice != nullptr && answers_slice(*request.slice, response.fields, &part) &&
           (freshness.has_validator || is_valid_named(response.status, policy));
}

Reason status_reason(const Request& request, const Response& response, const Freshness& freshness,
                     const Policy& policy) noexcept {
    const uint16_t status = response.status;
    if (status < 200 || status > 999 || status == 304) {
        return Reason::kStatus;
    }
    return status == 206 && !is_kept_part(request, response, freshness, policy) ? Reason::kPartial : Reason::kNone;
}

// Who may see it: the prohibitions that no lifetime overcomes.
Reason sharing_reason(const Request& request, const Response& response, const Freshness& freshness,
                      const Policy& policy) noexcept {
    if (freshness.no_store) {
        return Reason::kNoStore;
    }
    if (freshness.is_private) {
        return Reason::kPrivate;
    }
    if (freshness.accel_off) {
        return Reason::kAccelExpires;
    }
    if (set_cookie_mode(policy) == SetCookie::kRefuse && response.fields.has("Set-Cookie")) {
        return Reason::kSetCookie;
    }
    if (request.has_authorization && !freshness.shares_authorization) {
        return Reason::kAuthorization;
    }
    return Reason::kNone;
}

// Whether keeping it will ever save a request.
Reason use_reason(const Response& response, const Freshness& freshness) noexcept {
    if (freshness.no_cache) {
        const bool is_allowed = freshness.source != Source::kNone || is_heuristically_cacheable(response.status);
        if (!freshness.has_validator) {
            return Reason::kNoCache;
        }
        return is_allowed ? Reason::kNone : Reason::kNoFreshness;
    }
    if (freshness.source == Source::kNone) {
        return Reason::kNoFreshness;
    }
    if (freshness.source == Source::kAccel) {
        return Reason::kNone;  // zero was refused before; "@" and a time that is past keeps it, as nginx does
    }
    const int64_t received = response.response_time;
    if (freshness.fresh_until > received || freshness.has_validator) {
        return Reason::kNone;
    }
    int64_t window = freshness.explicit_stale_while ? freshness.stale_while_sec : 0;
    if (freshness.explicit_stale_if_error && freshness.stale_if_error_sec > window) {
        window = freshness.stale_if_error_sec;
    }
    return add_saturated(freshness.fresh_until, window) > received ? Reason::kNone : Reason::kAlreadyStale;
}

Reason size_reason(const Response& response, const Policy& policy) noexcept {
    uint64_t bytes = 0;
    for (const Field& field : response.fields) {
        bytes += field.name.size() + field.value.size() + 4;
    }
    if (bytes <= policy.max_header_bytes) {
        return Reason::kNone;  // as nearly always: which of them are stored makes no difference
    }
    bytes = 0;
    const FieldJudge judge(response.fields, policy);
    for (const Field& field : response.fields) {
        if (!is_tag_field(field.name, policy.tags) && judge.may_store(field.name)) {
            bytes += field.name.size() + field.value.size() + 4;
        }
    }
    return bytes > policy.max_header_bytes ? Reason::kHeadersTooBig : Reason::kNone;
}

}  // namespace

Verdict may_use_cache(const Request& request, const Policy& policy) noexcept {
    if (request.wants_websocket) {
        return {Reason::kUpgrade};
    }
    if ((method_bit(request.method) & policy.methods) == 0) {
        return {Reason::kMethod};
    }
    const bool is_get = request.method == Method::kGet || request.method == Method::kHead;
    return {is_get && request.has_body ? Reason::kRequestBody : Reason::kNone};
}

Verdict storable(const Request& request, const Response& response, const Freshness& freshness,
                 const Policy& policy) noexcept {
    if (const Verdict verdict = may_use_cache(request, policy); !verdict) {
        return verdict;
    }
    if (request.method == Method::kHead && !request.is_head_apart) {
        return {Reason::kMethod};  // without its body it cannot answer a GET
    }
    const Reason reasons[] = {status_reason(request, response, freshness, policy),
                              framing_reason(response.fields),
                              sharing_reason(request, response, freshness, policy),
                              vary_reason(response.fields, policy),
                              use_reason(response, freshness),
                              size_reason(response, policy)};
    for (const Reason reason : reasons) {
        if (reason != Reason::kNone) {
            return {reason};
        }
    }
    return {};
}

bool post_answers_get(const TargetUri& target, const Response& response, const Freshness& freshness) noexcept {
    const Field* location = response.fields.find("Content-Location");
    if (response.status != 200 || !freshness.is_explicit || location == nullptr) {
        return false;
    }
    char buffer[4096];
    Bytes path;
    return resolve_same_origin(location->value, target, buffer, sizeof(buffer), &path) && path == target.path;
}

bool may_replace(uint16_t status, const Freshness& freshness, const StoredFacts& stored, const Policy& policy,
                 int64_t now) noexcept {
    const uint32_t failure = stale_on_status(status);
    const bool is_error = status >= 500 || (failure & policy.use_stale) != 0;
    if (!is_error || freshness.is_explicit) {
        return true;
    }
    return !may_serve_stale(stored, static_cast<StaleOn>(failure), policy, now);
}

bool is_hop_by_hop(Bytes name) noexcept {
    const char first = name.empty() ? '\0' : base::lower(name.front());
    if (first != 'c' && first != 'k' && first != 'p' && first != 't' && first != 'u') {
        return false;
    }
    constexpr Bytes kNames[] = {"Connection",         "Keep-Alive", "Proxy-Connection",   "TE",
                                "Transfer-Encoding",  "Upgrade",    "Proxy-Authenticate", "Proxy-Authentication-Info",
                                "Proxy-Authorization"};
    for (const Bytes known : kNames) {
        if (base::equal_nocase(known, name)) {
            return true;
        }
    }
    return false;
}

bool is_storable_field(Bytes name, Bytes connection) noexcept {
    return !is_hop_by_hop(name) && !base::equal_nocase(name, "Age") && !list_has(connection, name);
}

bool is_storable_field(Bytes name, const Fields& response, const Policy& policy) noexcept {
    if (!is_storable_field(name, Bytes{})) {
        return false;
    }
    for (const Field& line : response.lines("Connection")) {
        if (list_has(line.value, name)) {
            return false;
        }
    }
    if (base::equal_nocase(name, "Set-Cookie") && set_cookie_mode(policy) != SetCookie::kStore) {
        return false;
    }
    return ignores(policy, ignore::kCacheControl) || !no_cache_lists(response, name);
}

bool is_known_status(uint16_t status) noexcept {
    constexpr uint16_t kOthers[] = {300, 301, 302, 303, 305, 307, 308, 421, 422, 423, 424, 425, 426, 428, 429,
                                    431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511, 226};
    if ((status >= 200 && status <= 208 && status != 206) || (status >= 400 && status <= 417)) {
        return true;
    }
    for (const uint16_t known : kOthers) {
        if (known == status) {
            return true;
        }
    }
    return false;
}

}  // namespace slab_cache::http
