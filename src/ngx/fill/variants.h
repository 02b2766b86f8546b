// ngx/fill/variants.h — a fill whose response varies: its own key, and the marker that leads to it.
//
// Threading   one worker's event loop.
// Errors      false with the reason; the response is not stored then.
// Cost        of a response that varies: a second lease, and a marker, which is an object written and published.
#pragma once

#include "ngx/glue/ngx.h"

#include "http/fields.h"
#include "ngx/fill/fetch.h"
#include "ngx/zone/validity.h"

namespace slab_cache::ngx {

// Where the response varies: gives `what` the variant's key and digest, writes the marker under the primary key, and moves the
// fill's lease to the variant, so that who waits on the URL looks again and finds out whose variant this is.
bool choose_variant(Fetch* fetch, const http::Fields& response, shm::NewEntry* what, http::Reason* reason) noexcept;

// A response and the request it answers.
struct VariantOf {
    Zone* zone;
    UrlOf url;
    Bytes key;  // primary
    http::Fields request;
    const http::Policy* policy;
};
struct VariantPlace {
    Bytes spec;  // empty: the response does not vary, and lies under the primary key
    Bytes key;
};
// False with the reason why it cannot be stored.
bool find_place(const VariantOf& of, const http::Fields& response, VariantPlace* place, http::Reason* reason) noexcept;

// Best effort: without a marker the variant is merely not found.
void write_marker(const VariantOf& of, Bytes spec, const shm::NewEntry& variant) noexcept;

}  // namespace slab_cache::ngx
