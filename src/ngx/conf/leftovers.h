// ngx/conf/leftovers.h — what a migration forgot: directives of nginx's own caches that stand beside slab_cache and say nothing
// to it.
//
// What        X_cache_bypass and X_no_cache (proxy, fastcgi, uwsgi, scgi) where slab_cache is in force and its own counterpart
//             is missing: pages that were nobody else's are shared. X_cache_key, where it names what the default key does not. $upstream_cache_status where none of nginx's caches is on:
//             it stays empty. Each is a warning that names both places.
// How         while the http block is read, directive_watch.h tells of these directives as they are read.
// Threading   the master, while it reads a configuration.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct LocConf;

inline constexpr uint32_t kFamilies = 4;  // of upstream modules that have a cache
inline constexpr uint32_t kPairs = 3;     // bypass, no_cache, cache_key
inline constexpr uint32_t kUses = 4;

// A directive as it stands in the configuration.
struct Written {
    ngx_str_t name;
    ngx_str_t file;
    ngx_uint_t line;
    bool is_used;  // its own cache is on somewhere
    bool is_told;
};

// Of one level; merged downwards.
struct Beside {
    Written* slab_cache;
    Written* left[kFamilies][kPairs];
    bool is_own[kFamilies][kPairs];  // written at this very level
    Written* status[kUses];          // of $upstream_cache_status at this very level, the first few
    ngx_flag_t is_on[kFamilies];     // X_cache
    ngx_int_t passes_to;             // a family
};

// Of a new http block. False when memory ran out.
bool begin_leftovers(ngx_conf_t* cf) noexcept;
bool is_of_leftovers(Bytes directive) noexcept;
// Before the directive's own setter: a block that follows overwrites the arguments. False when memory ran out.
bool note_leftover(ngx_conf_t* cf, const ngx_command_t* command) noexcept;
Beside* create_beside(ngx_pool_t* pool) noexcept;
bool merge_beside(ngx_conf_t* cf, const LocConf* prev, LocConf* conf) noexcept;
// Warns, when the block has been read.
void tell_leftovers(ngx_conf_t* cf) noexcept;

}  // namespace slab_cache::ngx
