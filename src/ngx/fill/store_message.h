// ngx/fill/store_message.h — a response that was made elsewhere, and is here whole, becomes an object: one that a client of the API
// pushed, or one that lay in a tier.
//
// What        What is stored of it, its selectors, its place among the URL's variants; then entry, marker and marks. Whether it may be
//             stored, and how old it is, its owner has judged (http/storable.h).
// Threading   one worker's event loop.
// Ownership   everything lies on the pool of `of.url`, or is the owner's.
// Errors      a reason, or the store's Status. Nothing is stored then.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/selector_list.h"
#include "cache/url.h"
#include "http/freshness.h"
#include "http/message.h"
#include "http/reason.h"
#include "ngx/fill/variants.h"

namespace slab_cache::ngx {

struct Message {
    VariantOf of;  // zone, URL, primary key, and the request that gets it
    cache::Url url;
    const cache::Url* inner;  // what rewrites made of it; nullptr: nothing
    uint64_t identity;
    http::Response response;
    http::Freshness freshness;
    http::Fields lines;   // of the response: what may be stored
    http::Fields tagged;  // ... where its tags are
    Bytes body;
    uint32_t flags;        // of the entry
    uint32_t rival_flags;  // shm::NewEntry
    uint64_t rival_since;
    uint64_t birth;

    VariantPlace place;
    cache::SelectorList* selectors;
    Bytes head;
};

// `lines` and `tagged` of a whole message's fields: what nginx hides of an upstream's answer is hidden here; what it does because of
// it is kept (controls.h). False when memory ran out. REQUIRES `of`.
bool take_lines(Message* m, const http::Fields& all) noexcept;
// A coding in it is one that the request takes, and its variant stands for.
bool is_encoding_asked_for(const Message& m) noexcept;
// kNone, kTooManyTags, kInternal. REQUIRES `selectors` empty.
http::Reason collect_message_selectors(Message* m) noexcept;
// kNone, kHeadersTooBig, kInternal (no memory), kFraming (a field that is too long).
http::Reason build_message_head(Message* m) noexcept;
// By the rules themselves: one that counts already may not be published yet, and is never held against what is born now.
bool is_purged_by_glob(const Message& m) noexcept;
// Writes and publishes it.
shm::Status write_message(Message* m) noexcept;

}  // namespace slab_cache::ngx
