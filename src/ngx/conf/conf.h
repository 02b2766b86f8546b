// ngx/conf/conf.h — what nginx.conf said, per zone and per location.
//
// Standard-layout structs on the configuration pool; created and merged in conf.cpp, filled by the setters in
// rule_directives.cpp. Immutable once the configuration is read, but for AnswerHistory.
#pragma once

#include "ngx/glue/ngx.h"

#include "http/args.h"
#include "http/policy.h"
#include "http/vary.h"
#include "shm/store.h"

namespace slab_cache::ngx {

struct FleetConf;  // ngx/fleet/fleet_conf.h
struct TierConf;   // ngx/tier/tier_conf.h
struct Zone;       // zone.h
struct Beside;     // leftovers.h

enum class StatusHeader : ngx_uint_t { kOff, kOn, kDetail };

// What an unsafe request may invalidate (bit mask; nginx keeps bit 0 for "set").
inline constexpr ngx_uint_t kInvalidateOff = 0x2;
inline constexpr ngx_uint_t kInvalidateUnsafe = 0x4;
inline constexpr ngx_uint_t kInvalidateGroups = 0x8;
inline constexpr ngx_uint_t kInvalidateLocation = 0x10;

// Where tags come from: the usual response fields, nowhere, or the directive's own fields and values.
inline constexpr ngx_uint_t kTagsFromResponse = 0;
inline constexpr ngx_uint_t kTagsOff = 1;
inline constexpr ngx_uint_t kTagsConfigured = 2;

// slab_cache_authorization, and what of the credentials the key has in it (credentials.h).
inline constexpr ngx_uint_t kAuthorizationRefuse = 0;
inline constexpr ngx_uint_t kAuthorizationKeyed = 1;
enum class KeyedBy : uint8_t { kNothing, kField, kUser };

// proxy, grpc, fastcgi, uwsgi, scgi (sent_fields.h).
inline constexpr uint32_t kSenders = 5;

struct Cidrs {
    ngx_array_t list;   // of ngx_cidr_t
    bool unix_sockets;  // "from unix:"
};

struct PurgeConf {
    PurgeConf* next;  // of another method
    ngx_str_t method;
    bool soft;
    Cidrs from;
};

// Of exactly that method; nullptr: none.
inline const PurgeConf* find_purge(const PurgeConf* list, Bytes method) noexcept {
    while (list != nullptr && view(list->method) != method) {
        list = list->next;
    }
    return list;
}

// map FROM $TO: as written.
struct MapLine {
    ngx_str_t from;
    ngx_str_t to;
};

struct MainConf {
    ngx_array_t zones;   // of Zone*
    ngx_array_t fleets;  // of FleetConf*
    ngx_array_t tiers;   // of TierConf*
    time_t started;      // when this nginx was started; a binary upgrade starts one
    time_t loaded;       // when this configuration was read
    Zone* awaited;       // used by slab_cache before their slab_cache_zone, linked by Zone::next_awaited
    // Indices of variables, see clone.h
    ngx_array_t carried_variables;
    ngx_array_t settable_variables;
    bool has_zone_by_name;      // slab_cache with variables: any zone may be meant
    ngx_int_t slice_range;      // of $slice_range; -1 where no directive uses it
    ngx_int_t slice_index;      // of the slice module's context; -1: it is not there
    ngx_array_t locations;      // const LocConf* of each that has a cache
    ngx_array_t vary_policies;  // const http::VaryPolicy* of these: one of those that make the same keys
    ngx_array_t told_by_door;   // ngx_str_t: names of variables of auth_request_set
    ngx_array_t maps;           // of MapLine
    bool has_foreign_balancer;  // some upstream's peers are chosen by code that may look into a request's contexts
    bool has_precompressed;     // gzip_static and its kind are written somewhere
    ngx_int_t lua_index;        // of that code's context; -1: none
    ngx_http_handler_pt redirecting[2];  // content handlers that only send elsewhere: index, random_index
    bool has_foreign_content;  // where no content handler is set, one that is not nginx's own may answer (fancyindex)
};

// A field of slab_cache_key, or where it has something to hide, a part of one.
struct KeyPart {
    ngx_http_complex_value_t value;
    uint16_t marks;  // cache/key.h
};

// What a worker has seen of a location's answers lately (direct_fill.h). The one part that workers write: each has its own copy.
struct AnswerHistory {
    uint32_t whole_in_row;
    uint32_t needed;
    bool copies_in_passing;  // an answer that no clone could have asked for was stored: others may wait for the next
};

struct LocConf {
    // slab_cache: unset (NGX_CONF_UNSET_PTR), nullptr = off, or a zone; zone_value when it has variables
    Zone* zone;
    ngx_http_complex_value_t* zone_value;

    TierConf* tier;  // slab_cache_tier: unset, nullptr = off, or the one that a miss asks

    ngx_array_t* key;            // of KeyPart; nullptr = default key
    http::ArgsPolicy* key_args;  // nullptr = all
    ngx_uint_t methods;
    bool head_apart;           // a HEAD is asked as one, and kept under a key of its own
    ngx_uint_t authorization;  // kAuthorization…
    ngx_flag_t auth_basic;     // nginx's, where it surely checks
    KeyedBy keyed_by;
    bool post_fills_get;  // a POST's answer may be what GETs get: their key is known by then (post_copy.h)

    ngx_array_t* valid;  // of http::ValidRule
    ngx_int_t ttl_set;
    time_t ttl_min;
    time_t ttl_max;
    ngx_int_t ttl_jitter;
    ngx_int_t heuristic;
    ngx_array_t* bypass;    // predicates
    ngx_array_t* no_cache;  // predicates
    ngx_uint_t ignore_headers;
    ngx_uint_t set_cookie;  // http::SetCookie
    ngx_uint_t min_uses;
    http::VaryPolicy* vary;

    // plain.def
#define SLAB_SWITCH(field, by_default) ngx_flag_t field;
#define SLAB_TIME(field, by_default) ngx_msec_t field;
#include "ngx/conf/plain.def"

    ngx_uint_t use_stale;  // mask of http::StaleOn
    ngx_int_t stale_set;
    time_t stale_while;
    time_t stale_if_error;
    ngx_int_t refresh_beta;  // thousandths; 0 = off

    ngx_array_t* tags;            // of ngx_http_complex_value_t; nullptr with tags_mode
    http::TagPolicy* tag_fields;  // of slab_cache_tags field=…; nullptr: none
    ngx_uint_t tags_mode;         // kTags…
    ngx_uint_t invalidate;
    PurgeConf* purge;          // nullptr = off
    ngx_uint_t status_header;  // StatusHeader

    ngx_flag_t api;
    ngx_flag_t api_write;
    ngx_str_t api_prefix;  // the location's name
    ngx_str_t api_secret;  // of signed requests; empty: there are none

    // identity.h
    uint64_t identity;
    uint64_t shared_identity;          // the same without the server's addresses: other machines have it too
    uint64_t written;                  // what proxy_pass and its kind say here, hashed; 0: nothing
    uint32_t parts;                    // `if` and limit_except blocks counted at merge
    bool identity_varies;              // there are inputs, or variables in root: to be evaluated for each request
    ngx_http_handler_pt pass_handler;  // of proxy_pass and its kind
    ngx_array_t* inputs;               // of ngx_http_complex_value_t: what the answer hangs on beside the URL

    // sent_fields.h
    ngx_array_t* sent[kSenders];  // of SentField; nullptr: none
    bool sends[kSenders];         // a directive of that kind is in force
    uint8_t sender;               // 1 + which of them answers this location; 0: none

    // slice_directive.h
    size_t slice_size;        // nginx's `slice`
    uint8_t shaped;           // kinds of directives at this level that make the origin's request
    uint8_t shaped_by_slice;  // ... of which one in force names $slice_range
    bool is_sliced;           // the origin may be asked for a part

    AnswerHistory* history;  // this worker's
    Beside* beside;          // nginx's own caches; means something while the configuration is read
    http::Policy policy;     // the rules above in the form src/http reads, built at merge
};

void* create_main_conf(ngx_conf_t* cf) noexcept;
void* create_loc_conf(ngx_conf_t* cf) noexcept;
char* merge_loc_conf(ngx_conf_t* cf, void* parent, void* child) noexcept;

inline MainConf* main_conf(ngx_conf_t* cf) noexcept {
    return static_cast<MainConf*>(ngx_http_conf_get_module_main_conf(cf, ngx_http_slab_cache_module));
}

inline MainConf* main_conf(ngx_http_request_t* r) noexcept {
    return static_cast<MainConf*>(ngx_http_get_module_main_conf(r, ngx_http_slab_cache_module));
}

}  // namespace slab_cache::ngx
