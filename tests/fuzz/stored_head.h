// tests/fuzz/stored_head.h — reads the head of an entry as a hit does; views stay inside, what decodes is within bounds.
#pragma once

#include "cache/stored_head.h"
#include "cache/variant_marker.h"
#include "fuzz/fuzz.h"

namespace slab_cache::test {

inline unsigned sum_of(cache::Bytes text) {
    unsigned sum = 0;
    for (char c : text) {
        sum += static_cast<unsigned char>(c);
    }
    return sum;
}

inline unsigned read_head(cache::Bytes head) {
    cache::StoredResponse stored;
    cache::HeadFixed fixed;
    const bool has_facts = cache::decode_facts(head, &fixed);
    if (!cache::decode_head(head, &stored)) {
        return 0;
    }
    http::check(has_facts && stored.status >= 100 && stored.status <= 999);
    http::check(stored.content_type_len <= stored.content_type.size());
    unsigned sum = 0;
    uint32_t count = 0;
    cache::Bytes rest = stored.fields;
    for (cache::StoredField field; cache::next_field(&rest, &field); count++) {
        http::check(http::is_inside(field.value, head) && field.name.size() == field.lowcase.size());
        sum += sum_of(field.name) + sum_of(field.lowcase) + sum_of(field.value);
    }
    http::check(count == stored.field_count && rest.empty());
    for (const cache::Bytes view : {stored.etag, stored.last_modified, stored.content_type, stored.date, stored.vary}) {
        http::check(http::is_inside(view, head));
    }
    return sum;
}

inline unsigned read_marker(cache::Bytes head) {
    cache::Marker marker;
    if (!cache::decode_marker(head, &marker)) {
        return 0;
    }
    http::check(marker.spec_count >= 1 && marker.spec_count <= cache::kMaxSpecs);
    unsigned sum = 0;
    for (uint32_t i = 0; i < marker.spec_count; i++) {
        http::check(http::is_inside(marker.spec[i], head));
        sum += sum_of(marker.spec[i]);
    }
    for (uint32_t i = 0; i < marker.variant_count; i++) {
        sum += static_cast<unsigned>(marker.variant(i).lo);
    }
    return sum;
}

}  // namespace slab_cache::test
