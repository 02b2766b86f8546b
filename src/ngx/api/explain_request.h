// ngx/api/explain_request.h — entry?url=…&header=Name:value…: what a request with these fields would get of what is stored.
//
// What        The fields of the question, and whether objects are for them: under a marker the variants' keys are made of the
//             fields, by each kind of slab_cache_vary that the configuration has; an object is a location's by its identity.
//             What slab_cache_key takes of a request beside its URL is not known here: under such keys nothing can be told.
// Safety      The values are secrets of clients: no answer has them.
#pragma once

#include "ngx/glue/ngx.h"

#include <jansson.h>

#include "http/fields.h"
#include "shm/store.h"
#include "ngx/zone/hit_for_miss.h"
#include "ngx/zone/validity.h"

namespace slab_cache::ngx {

struct Call;

struct AskedRequest {
    http::Fields fields;
    uint8_t kind = kAnybody;
    bool is_given = false;
};
// From the arguments. Returns what is wrong with them; empty: nothing.
Bytes read_asked_request(ngx_http_request_t* r, AskedRequest* out) noexcept;

enum class Fits : uint8_t { kNotAsked, kYes, kNo, kUnknown };

inline constexpr size_t kNotListed = SIZE_MAX;
inline constexpr uint32_t kMaxMarkersTried = 16;
inline constexpr uint32_t kMaxLooked = 32;
inline constexpr uint32_t kMaxFitting = 32;

struct Fitting {
    const AskedRequest* request = nullptr;
    Call* call = nullptr;
    UrlOf url{};
    json_t* list = nullptr;  // of all entries
    struct {
        Bytes key;
        Bytes head;
    } marker[kMaxMarkersTried];
    uint32_t marker_count = 0;
    size_t index[kMaxFitting];  // in the list
    uint32_t count = 0;
    shm::Digest looked[kMaxLooked];  // where such a request looks, and leaves its marks
    uint32_t looked_count = 0;
    bool is_refused = false;  // one is not for requests with credentials
    bool is_unknown = false;  // one is under a key with something hidden
};

// At each entry of the URL that is not purged. `index`: in the list.
void look_whether_it_fits(Fitting* fitting, const shm::Pin& pin, size_t index) noexcept;
// They will be looked at again.
void forget_objects(Fitting* fitting) noexcept;
// When all were looked at. Lists what is not listed yet.
Fits try_variants(Fitting* fitting) noexcept;

// "request" of the answer, whose reference the answer has.
const json_t* fitting_json(const Fitting& fitting, Fits fits, json_t* answer) noexcept;

}  // namespace slab_cache::ngx
