// ngx/fill/tier_place.h — where a request's answer lies in its tier, and which of what lies there it may have.
//
// Which       GET and HEAD, by the default key or slab_cache_key; no parts of files, nothing that is kept by method. Under the default key
//             a request that was rewritten asks for another key than one that came by the URL as it is.
// Identity    of the location, as all machines with this configuration have it (identity.h). A value that names none was written by an
//             application: it is for the URL as it is, or for the key as it stands.
// Ownership   everything lies on the pool that was given.
// Threading   one worker's event loop.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/fleet_id.h"
#include "cache/tier_key.h"
#include "ngx/fill/variants.h"
#include "ngx/request/ctx.h"
#include "ngx/tier/tier_conf.h"

namespace slab_cache::ngx {

struct TierPlace {
    TierConf* conf;
    VariantOf of;
    uint64_t identity;             // in the zone
    Bytes text;                    // of the key
    Bytes shared;                  // identity, as values have it; empty: slab_cache_key
    bool takes_any;                // also one without an identity
    Bytes inner_path, inner_args;  // ClientUrl's
};

bool uses_tier(const Ctx* ctx) noexcept;
// `r` is the request whose fields choose the variant. False when memory ran out. REQUIRES uses_tier(ctx).
bool tier_place_of(const Ctx* ctx, ngx_http_request_t* r, TierPlace* place) noexcept;
bool object_key_of(const TierPlace& place, cache::StoreKey* key) noexcept;
bool variant_key_of(const TierPlace& place, Bytes spec, cache::StoreKey* key) noexcept;
// The stream's position up to which all purges count in the zone; none where the tier has no fleet, or not the zone's.
cache::StreamId tier_position(const TierConf& conf, Zone* zone) noexcept;

}  // namespace slab_cache::ngx
