#include "ngx/glue/ngx.h"

#include "ngx/fill/merge_304.h"

#include "http/storable.h"
#include "http/tags.h"
#include "http/update.h"
#include "ngx/request/cache_key.h"

namespace slab_cache::ngx {
namespace {

bool merge_lines(CloneFill* fill, const http::Fields& stored, const http::Fields& update, Lines* out) noexcept {
    const http::Policy& policy = fill->conf->policy;
    out->data = static_cast<http::Field*>(
        ngx_palloc(fill->request->pool, (stored.size + update.size + 4) * sizeof(http::Field)));
    out->size = 0;
    if (out->data == nullptr) {
        return false;
    }
    http::MergedFields merged(stored, update, policy);
    http::Field field;
    while (merged.next(&field)) {
        out->data[out->size++] = field;
    }
    return true;
}

// The lines of the 304 that nginx passes on and that may replace stored ones; its Connection is in `raw` alone.
bool passed_lines(CloneFill* fill, const http::Fields& raw, Lines* out) noexcept {
    ngx_http_request_t* r = fill->request;
    const http::Fields passed = list_fields(r->pool, &r->headers_out.headers, 1, &out->data);
    if (out->data == nullptr) {
        return false;
    }
    out->size = 0;  // filtered in place
    for (const http::Field& line : passed) {
        if (http::is_updatable_field(line.name, raw, fill->conf->policy)) {
            const http::Field copy = line;
            out->add(copy.name, copy.value);
        }
    }
    if (const http::Field* date = raw.find("Date"); date != nullptr && !out->has("Date")) {
        out->add("Date", date->value);
    }
    return true;
}

}  // namespace

bool stored_fields(ngx_pool_t* pool, const cache::StoredResponse& stored, http::Fields* out) noexcept {
    auto* lines = static_cast<http::Field*>(ngx_palloc(pool, (stored.field_count + size_t{1}) * sizeof(http::Field)));
    if (lines == nullptr) {
        return false;
    }
    size_t n = 0;
    Bytes rest = stored.fields;
    cache::StoredField field;
    while (n < stored.field_count && cache::next_field(&rest, &field)) {
        lines[n++] = {field.name, field.value};
    }
    *out = {lines, n};
    return true;
}

bool merge_header(CloneFill* fill, const OriginResponse& origin, const cache::StoredResponse& stored,
                  Merge* out) noexcept {
    Lines update;
    Lines all;
    if (!passed_lines(fill, origin.response.fields, &update) ||
        !stored_fields(fill->request->pool, stored, &out->stored) ||
        !merge_lines(fill, out->stored, origin.response.fields, &out->evaluated) ||
        !merge_lines(fill, out->stored, {update.data, update.size}, &all)) {
        return false;
    }
    // By the merged header's own word: the 304's Connection speaks of the 304, and what it lists is gone already.
    const http::Fields result{out->evaluated.data, out->evaluated.size};
    out->lines = {all.data, 0};  // filtered in place
    for (size_t i = 0; i < all.size; i++) {
        const http::Field field = all.data[i];
        if (http::is_storable_field(field.name, result, fill->conf->policy) &&
            !http::is_tag_field(field.name, fill->conf->policy.tags)) {
            out->lines.add(field.name, field.value);
        }
    }
    return true;
}

}  // namespace slab_cache::ngx
