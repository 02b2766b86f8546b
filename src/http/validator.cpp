#include "http/validator.h"

#include "http/date.h"
#include "http/syntax.h"

namespace slab_cache::http {

namespace {

Bytes opaque(Bytes tag) noexcept { return is_weak_tag(tag) ? base::slice(tag, 2) : tag; }

// The next entity tag of a list. No escapes exist in one, but commas may (RFC 9110 §8.8.3); what
// has no quotes runs to the next comma.
bool next_tag(Bytes* list, Bytes* tag) noexcept {
    size_t from = 0;
    while (from < list->size() && (is_space((*list)[from]) || (*list)[from] == ',')) {
        from++;
    }
    *list = base::slice(*list, from);
    if (list->empty()) {
        return false;
    }
    size_t end = is_weak_tag(*list) ? 2 : 0;
    if (end < list->size() && (*list)[end] == '"') {
        end++;
        while (end < list->size() && (*list)[end] != '"') {
            end++;
        }
        end += end < list->size() ? 1 : 0;
    } else {
        while (end < list->size() && (*list)[end] != ',') {
            end++;
        }
    }
    *tag = trim(base::slice(*list, 0, end));
    *list = base::slice(*list, end);
    return true;
}

enum class Comparison : bool { kStrong, kWeak };

bool any_matches(const Fields& request, Bytes name, Bytes etag, Comparison comparison) noexcept {
    for (const Field& line : request.lines(name)) {
        if (trim(line.value) == "*") {
            return true;
        }
        Bytes list = line.value;
        for (Bytes tag; next_tag(&list, &tag);) {
            const bool strong = comparison == Comparison::kStrong;
            if (strong ? strong_equal(tag, etag) : weak_equal(tag, etag)) {
                return true;
            }
        }
    }
    return false;
}

std::optional<int64_t> date_field(const Fields& fields, Bytes name, int64_t now) noexcept {
    return parse_date(trim(fields.get(name)), now);
}

// If-Match, or else If-Unmodified-Since.
bool has_failed(const Fields& request, const Validators& stored, int64_t now) noexcept {
    if (request.has("If-Match")) {
        return !any_matches(request, "If-Match", stored.etag, Comparison::kStrong);
    }
    const std::optional<int64_t> since = date_field(request, "If-Unmodified-Since", now);
    const std::optional<int64_t> modified = parse_date(stored.last_modified, now);
    return since && modified && *modified > *since;
}

}  // namespace

bool is_weak_tag(Bytes tag) noexcept { return base::starts_with(tag, "W/"); }

bool strong_equal(Bytes a, Bytes b) noexcept { return !a.empty() && !is_weak_tag(a) && a == b; }

bool weak_equal(Bytes a, Bytes b) noexcept { return !opaque(a).empty() && opaque(a) == opaque(b); }

Condition evaluate_preconditions(const Fields& request, Method method, uint16_t stored_status, const Validators& stored,
                                 int64_t now) noexcept {
    if (request.size == 0 || stored_status < 200 || stored_status > 299) {
        return Condition::kProceed;
    }
    if (has_failed(request, stored, now)) {
        return Condition::kFailed;
    }
    const bool reads = method == Method::kGet || method == Method::kHead || method == Method::kQuery;
    if (request.has("If-None-Match")) {
        if (!any_matches(request, "If-None-Match", stored.etag, Comparison::kWeak)) {
            return Condition::kProceed;
        }
        return reads ? Condition::kNotModified : Condition::kFailed;
    }
    const std::optional<int64_t> since = date_field(request, "If-Modified-Since", now);
    if (!reads || !since) {
        return Condition::kProceed;
    }
    const int64_t modified = parse_date(stored.last_modified, now).value_or(stored.date);
    return modified <= *since ? Condition::kNotModified : Condition::kProceed;
}

bool if_range_holds(const Fields& request, const Validators& stored, int64_t now) noexcept {
    const Field* field = request.find("If-Range");
    if (field == nullptr) {
        return true;
    }
    const Bytes value = trim(field->value);
    if (is_weak_tag(value) || base::starts_with(value, "\"")) {
        return strong_equal(value, stored.etag);
    }
    const std::optional<int64_t> since = parse_date(value, now);
    const std::optional<int64_t> modified = parse_date(stored.last_modified, now);
    return since && modified && *since == *modified && *modified < stored.date;
}

bool is_304_field(Bytes name) noexcept {
    constexpr Bytes kNames[] = {
        "ETag", "Date", "Vary", "Expires", "Cache-Control", "CDN-Cache-Control", "Content-Location"};
    for (const Bytes known : kNames) {
        if (base::equal_nocase(known, name)) {
            return true;
        }
    }
    return false;
}

bool head_differs(const Fields& stored, const Fields& head, uint64_t stored_length) noexcept {
    for (const Bytes name : {Bytes{"ETag"}, Bytes{"Last-Modified"}}) {
        const Field* now = head.find(name);
        if (now != nullptr && trim(now->value) != trim(stored.get(name))) {
            return true;
        }
    }
    const Field* length = head.find("Content-Length");
    if (length == nullptr) {
        return false;
    }
    char digits[20];
    Output expected(digits, sizeof(digits));
    expected.put_number(stored_length);
    return trim(length->value) != Bytes{digits, expected.length()};
}

}  // namespace slab_cache::http
