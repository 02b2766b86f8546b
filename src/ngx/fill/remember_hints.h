// ngx/fill/remember_hints.h — what a 103 may say before the next answer of a URL (slab_cache_early_hints).
//
// What        The hints of a stored answer's Link fields lie beside it as an entry of their own (shm::kSideFlag): under the object's key and
//             another digest, with its selectors. So whatever purges the object purges them, they belong to its identity and its
//             variant, and they outlive its body.
// Bound       kMaxHintsBytes each, a tenth of the zone together, a week since the last answer.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/fill/fetch.h"

namespace slab_cache::ngx {

// The object was begun, with these fields. One without hints forgets those there were.
void remember_hints(Fetch* fetch, const http::Fields& fields, const shm::NewEntry& object) noexcept;

}  // namespace slab_cache::ngx
