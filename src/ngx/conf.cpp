#include "ngx/ngx.h"

#include "ngx/conf.h"

#include "ngx/credentials.h"
#include "ngx/directive_watch.h"
#include "ngx/directives.h"
#include "ngx/identity.h"
#include "ngx/leftovers.h"
#include "ngx/slice.h"
#include "ngx/zone.h"

namespace slab_cache::ngx {
namespace {

// Whole answers in a row before a location is filled directly. `make torture-direct` builds a module that needs none.
#ifdef SLAB_DIRECT_FROM_THE_FIRST
constexpr uint32_t kWholeNeeded = 0;
#else
constexpr uint32_t kWholeNeeded = 16;
#endif
constexpr ngx_uint_t kAnywhere = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

// nginx keeps the lowest bit of a mask for "set": ours are one higher.
constexpr ngx_uint_t bit(uint32_t b) noexcept { return ngx_uint_t{b} << 1; }
constexpr uint32_t bits(ngx_uint_t mask) noexcept { return static_cast<uint32_t>(mask >> 1); }

ngx_conf_bitmask_t ignore_bits[] = {
    {ngx_string("X-Accel-Redirect"), bit(http::ignore::kAccelRedirect)},
    {ngx_string("X-Accel-Expires"), bit(http::ignore::kAccelExpires)},
    {ngx_string("X-Accel-Limit-Rate"), bit(http::ignore::kAccelLimitRate)},
    {ngx_string("X-Accel-Buffering"), bit(http::ignore::kAccelBuffering)},
    {ngx_string("X-Accel-Charset"), bit(http::ignore::kAccelCharset)},
    {ngx_string("Expires"), bit(http::ignore::kExpires)},
    {ngx_string("Cache-Control"), bit(http::ignore::kCacheControl)},
    {ngx_string("CDN-Cache-Control"), bit(http::ignore::kCdnCacheControl)},
    {ngx_string("Set-Cookie"), bit(http::ignore::kSetCookie)},
    {ngx_string("Vary"), bit(http::ignore::kVary)},
    {ngx_null_string, 0},
};

constexpr ngx_uint_t kStaleOffBit = 0x20000;   // keeps "off" apart from "not set"
constexpr ngx_uint_t kUpdatingWrittenBit = 0x40000;   // ... and "updating" from the default's
constexpr ngx_uint_t kStaleForceBit = 0x80000;

ngx_conf_bitmask_t stale_bits[] = {
    {ngx_string("error"), bit(http::kStaleError)},
    {ngx_string("timeout"), bit(http::kStaleTimeout)},
    {ngx_string("invalid_header"), bit(http::kStaleInvalidHeader)},
    {ngx_string("updating"), bit(http::kStaleUpdating) | kUpdatingWrittenBit},
    {ngx_string("http_500"), bit(http::kStaleHttp500)},
    {ngx_string("http_502"), bit(http::kStaleHttp502)},
    {ngx_string("http_503"), bit(http::kStaleHttp503)},
    {ngx_string("http_504"), bit(http::kStaleHttp504)},
    {ngx_string("http_403"), bit(http::kStaleHttp403)},
    {ngx_string("http_404"), bit(http::kStaleHttp404)},
    {ngx_string("http_429"), bit(http::kStaleHttp429)},
    {ngx_string("force"), kStaleForceBit},
    {ngx_string("off"), kStaleOffBit},
    {ngx_null_string, 0},
};

ngx_conf_bitmask_t method_bits[] = {
    {ngx_string("GET"), bit(http::kCacheGet)},
    {ngx_string("HEAD"), bit(http::kCacheHead)},
    {ngx_string("QUERY"), bit(http::kCacheQuery)},
    {ngx_string("POST"), bit(http::kCachePost)},
    {ngx_null_string, 0},
};

ngx_conf_bitmask_t invalidate_bits[] = {
    {ngx_string("off"), kInvalidateOff},
    {ngx_string("unsafe"), kInvalidateUnsafe},
    {ngx_string("location"), kInvalidateLocation},
    {ngx_string("groups"), kInvalidateGroups},
    {ngx_null_string, 0},
};

ngx_conf_enum_t authorization_words[] = {
    {ngx_string("refuse"), kAuthorizationRefuse},
    {ngx_string("keyed"), kAuthorizationKeyed},
    {ngx_null_string, 0},
};

ngx_conf_enum_t status_header_words[] = {
    {ngx_string("off"), static_cast<ngx_uint_t>(StatusHeader::kOff)},
    {ngx_string("on"), static_cast<ngx_uint_t>(StatusHeader::kOn)},
    {ngx_string("detail"), static_cast<ngx_uint_t>(StatusHeader::kDetail)},
    {ngx_null_string, 0},
};

// The sketch of uses counts no further: more would never be reached, and nothing stored.
char* check_uses(ngx_conf_t*, void*, void* data) noexcept {
    const ngx_int_t n = *static_cast<ngx_int_t*>(data);
    return n >= 1 && n <= ngx_int_t{shm::kMaxUses} ? NGX_CONF_OK : const_cast<char*>("must be from 1 to 15");
}
static_assert(shm::kMaxUses == 15, "the message above, and README");

ngx_conf_post_t countable_uses = {reinterpret_cast<ngx_conf_post_handler_pt>(check_uses)};

template <class T>
void merge_ptr(T** to, T* from) noexcept {
    if (*to == NGX_CONF_UNSET_PTR) {
        *to = from == NGX_CONF_UNSET_PTR ? nullptr : from;
    }
}

void build_policy(LocConf* conf) noexcept {
    http::Policy& p = conf->policy;
    p = {};
    if (conf->valid != nullptr) {
        p.valid = static_cast<const http::ValidRule*>(conf->valid->elts);
        p.valid_count = static_cast<uint32_t>(conf->valid->nelts);
    }
    p.methods = bits(conf->methods);
    p.ttl_min_sec = conf->ttl_min;
    if (conf->ttl_max > 0) {
        p.ttl_max_sec = conf->ttl_max;
    }
    p.jitter_percent = static_cast<uint32_t>(conf->ttl_jitter);
    p.heuristic_percent = static_cast<uint32_t>(conf->heuristic);
    p.ignore = bits(conf->ignore_headers);
    p.use_stale = (conf->use_stale & kStaleOffBit) != 0
                      ? http::kStaleOff
                      : bits(conf->use_stale & ~(kUpdatingWrittenBit | kStaleForceBit));
    p.stale_forced = (conf->use_stale & kStaleForceBit) != 0 && p.use_stale != http::kStaleOff;
    p.stale_at_once = (conf->use_stale & kUpdatingWrittenBit) != 0 && p.use_stale != http::kStaleOff;
    p.stale_while_sec = conf->stale_while;
    p.stale_if_error_sec = conf->stale_if_error;
    p.set_cookie = static_cast<http::SetCookie>(conf->set_cookie);
    if (conf->vary != nullptr) {
        p.vary = *conf->vary;
    }
}

// What a POST asks for is in its body: nobody but the operator knows which of them have the same answer.
bool check_methods(ngx_conf_t* cf, const LocConf* conf) noexcept {
    auto* clcf = static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    const bool is_level = clcf->name.len != 0 || clcf->noname;
    if ((conf->methods & bit(http::kCachePost)) == 0 || conf->key != nullptr || !is_level
        || (conf->zone == nullptr && conf->zone_value == nullptr)) {
        return true;
    }
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"slab_cache_methods POST\" in location \"%V\" needs a \"slab_cache_key\" that says which of them have the same "
                       "answer, such as \"$scheme$host$request_uri$request_body\"",
                       &clcf->name);
    return false;
}

void note_default_key(ngx_conf_t* cf, const LocConf* conf) noexcept {
    if (conf->key != nullptr || conf->api) {
        return;
    }
    if (conf->zone != nullptr) {
        conf->zone->is_default_key_used = true;
    } else if (conf->zone_value != nullptr) {
        main_conf(cf)->has_zone_by_name = true;
    }
}

}  // namespace

void* create_main_conf(ngx_conf_t* cf) noexcept {
    auto* conf = pool_new<MainConf>(cf->pool);
    if (conf == nullptr || ngx_array_init(&conf->zones, cf->pool, 2, sizeof(Zone*)) != NGX_OK
        || ngx_array_init(&conf->identities, cf->pool, 16, sizeof(uint64_t)) != NGX_OK || !begin_leftovers(cf) || !watch_directives(cf)) {
        return nullptr;
    }
    conf->lua_index = -1;
    return conf;
}

void* create_loc_conf(ngx_conf_t* cf) noexcept {
    auto* conf = static_cast<LocConf*>(ngx_pcalloc(cf->pool, sizeof(LocConf)));
    if (conf == nullptr) {
        return nullptr;
    }
    conf->habit = pool_new<Habit>(cf->pool);
    conf->beside = create_beside(cf->pool);
    if (conf->habit == nullptr || conf->beside == nullptr) {
        return nullptr;
    }
    conf->habit->needed = kWholeNeeded;
    conf->zone = static_cast<Zone*>(NGX_CONF_UNSET_PTR);
    conf->key = static_cast<ngx_array_t*>(NGX_CONF_UNSET_PTR);
    conf->key_args = static_cast<http::ArgsPolicy*>(NGX_CONF_UNSET_PTR);
    conf->valid = static_cast<ngx_array_t*>(NGX_CONF_UNSET_PTR);
    conf->ttl_set = NGX_CONF_UNSET;
    conf->bypass = static_cast<ngx_array_t*>(NGX_CONF_UNSET_PTR);
    conf->no_cache = static_cast<ngx_array_t*>(NGX_CONF_UNSET_PTR);
    conf->convert_head = NGX_CONF_UNSET;
    conf->authorization = NGX_CONF_UNSET_UINT;
    conf->auth_basic = NGX_CONF_UNSET;
    conf->set_cookie = NGX_CONF_UNSET_UINT;
    conf->min_uses = NGX_CONF_UNSET_UINT;
    conf->vary = static_cast<http::VaryPolicy*>(NGX_CONF_UNSET_PTR);
    conf->lock = NGX_CONF_UNSET;
    conf->lock_timeout = NGX_CONF_UNSET_MSEC;
    conf->lock_age = NGX_CONF_UNSET_MSEC;
    conf->stale_set = NGX_CONF_UNSET;
    conf->background_update = NGX_CONF_UNSET;
    conf->revalidate = NGX_CONF_UNSET;
    conf->refresh_beta = NGX_CONF_UNSET;
    conf->tags = static_cast<ngx_array_t*>(NGX_CONF_UNSET_PTR);
    conf->tags_mode = NGX_CONF_UNSET_UINT;
    conf->purge = static_cast<PurgeConf*>(NGX_CONF_UNSET_PTR);
    conf->status_header = NGX_CONF_UNSET_UINT;
    conf->slice_size = NGX_CONF_UNSET_SIZE;
    return conf;
}

char* merge_loc_conf(ngx_conf_t* cf, void* parent, void* child) noexcept {
    auto* prev = static_cast<LocConf*>(parent);
    auto* conf = static_cast<LocConf*>(child);
    if (conf->zone == NGX_CONF_UNSET_PTR) {
        conf->zone_value = prev->zone_value;
    }
    merge_ptr(&conf->zone, prev->zone);
    merge_ptr(&conf->key, prev->key);
    merge_ptr(&conf->key_args, prev->key_args);
    merge_ptr(&conf->valid, prev->valid);
    merge_ptr(&conf->bypass, prev->bypass);
    merge_ptr(&conf->no_cache, prev->no_cache);
    merge_ptr(&conf->vary, prev->vary);
    merge_ptr(&conf->purge, prev->purge);
    if (conf->tags_mode == NGX_CONF_UNSET_UINT) {
        conf->tags = prev->tags;
    }
    merge_ptr(&conf->tags, prev->tags);
    if (conf->ttl_set == NGX_CONF_UNSET) {
        conf->ttl_min = prev->ttl_min;
        conf->ttl_max = prev->ttl_max;
        conf->ttl_jitter = prev->ttl_jitter;
        conf->heuristic = prev->heuristic;
        conf->ttl_set = prev->ttl_set;
    }
    if (conf->stale_set == NGX_CONF_UNSET) {
        const bool set = prev->stale_set != NGX_CONF_UNSET;
        conf->stale_while = set ? prev->stale_while : 0;
        conf->stale_if_error = set ? prev->stale_if_error : 3600;
        conf->stale_set = prev->stale_set;
    }
    ngx_conf_merge_bitmask_value(conf->methods, prev->methods,
                                 (NGX_CONF_BITMASK_SET | bit(http::kCacheGet) | bit(http::kCacheHead)));
    if ((conf->methods & (bit(http::kCacheGet) | bit(http::kCacheHead))) == 0) {
        conf->methods |= bit(http::kCacheGet) | bit(http::kCacheHead);   // as proxy_cache_methods adds them
    }
    ngx_conf_merge_value(conf->convert_head, prev->convert_head, 1);
    conf->head_apart = conf->convert_head == 0 && names_variable(conf->key, "request_method");
    ngx_conf_merge_uint_value(conf->authorization, prev->authorization, kAuthorizationRefuse);
    ngx_conf_merge_value(conf->auth_basic, prev->auth_basic, 0);
    ngx_conf_merge_bitmask_value(conf->ignore_headers, prev->ignore_headers, NGX_CONF_BITMASK_SET);
    ngx_conf_merge_uint_value(conf->set_cookie, prev->set_cookie,
                              static_cast<ngx_uint_t>(http::SetCookie::kRefuse));
    ngx_conf_merge_uint_value(conf->min_uses, prev->min_uses, 1);
    ngx_conf_merge_value(conf->lock, prev->lock, 1);
    ngx_conf_merge_msec_value(conf->lock_timeout, prev->lock_timeout, 5000);
    ngx_conf_merge_msec_value(conf->lock_age, prev->lock_age, 5000);
    ngx_conf_merge_bitmask_value(conf->use_stale, prev->use_stale,
                                 (NGX_CONF_BITMASK_SET | bit(http::kStaleDefault)));
    if ((conf->use_stale & ~NGX_CONF_BITMASK_SET) == kStaleForceBit) {
        conf->use_stale |= bit(http::kStaleDefault);   // the word alone
    }
    ngx_conf_merge_value(conf->background_update, prev->background_update, 1);
    ngx_conf_merge_value(conf->revalidate, prev->revalidate, 1);
    ngx_conf_merge_value(conf->refresh_beta, prev->refresh_beta, 0);
    ngx_conf_merge_uint_value(conf->tags_mode, prev->tags_mode, kTagsFromResponse);
    ngx_conf_merge_bitmask_value(
        conf->invalidate, prev->invalidate,
        (NGX_CONF_BITMASK_SET | kInvalidateUnsafe | kInvalidateGroups));
    ngx_conf_merge_uint_value(conf->status_header, prev->status_header,
                              static_cast<ngx_uint_t>(StatusHeader::kOff));
    note_default_key(cf, conf);
    merge_slice(cf, prev, conf);
    build_policy(conf);
    const bool ok = check_methods(cf, conf) && check_credentials(cf, conf) && merge_identity(cf, prev, conf) && merge_beside(cf, prev, conf);
    return ok ? NGX_CONF_OK : static_cast<char*>(NGX_CONF_ERROR);
}

#define SLAB_AT(field) offsetof(LocConf, field)   // NOLINT: the command table wants offsets

ngx_command_t commands[] = {
    {ngx_string("slab_cache_zone"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE, set_zone,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr},
    {ngx_string("slab_cache"), kAnywhere | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE1, set_cache,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("slab_cache_key"), kAnywhere | NGX_CONF_1MORE, set_key, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(key), nullptr},
    {ngx_string("slab_cache_key_args"), kAnywhere | NGX_CONF_1MORE, set_key_args,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(key_args), nullptr},
    {ngx_string("slab_cache_methods"), kAnywhere | NGX_CONF_1MORE, ngx_conf_set_bitmask_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(methods), method_bits},
    {ngx_string("slab_cache_convert_head"), kAnywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(convert_head), nullptr},
    {ngx_string("slab_cache_authorization"), kAnywhere | NGX_CONF_TAKE1, ngx_conf_set_enum_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(authorization), authorization_words},
    {ngx_string("slab_cache_valid"), kAnywhere | NGX_CONF_1MORE, set_valid,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(valid), nullptr},
    {ngx_string("slab_cache_ttl"), kAnywhere | NGX_CONF_1MORE, set_ttl, NGX_HTTP_LOC_CONF_OFFSET, 0,
     nullptr},
    {ngx_string("slab_cache_bypass"), kAnywhere | NGX_CONF_1MORE, ngx_http_set_predicate_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(bypass), nullptr},
    {ngx_string("slab_no_cache"), kAnywhere | NGX_CONF_1MORE, ngx_http_set_predicate_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(no_cache), nullptr},
    {ngx_string("slab_cache_ignore_headers"), kAnywhere | NGX_CONF_1MORE, ngx_conf_set_bitmask_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(ignore_headers), ignore_bits},
    {ngx_string("slab_cache_set_cookie"), kAnywhere | NGX_CONF_TAKE1, set_cookie_mode,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(set_cookie), nullptr},
    {ngx_string("slab_cache_min_uses"), kAnywhere | NGX_CONF_TAKE1, ngx_conf_set_num_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(min_uses), &countable_uses},
    {ngx_string("slab_cache_vary"), kAnywhere | NGX_CONF_1MORE, set_vary, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(vary), nullptr},
    {ngx_string("slab_cache_lock"), kAnywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(lock), nullptr},
    {ngx_string("slab_cache_lock_timeout"), kAnywhere | NGX_CONF_TAKE1, ngx_conf_set_msec_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(lock_timeout), nullptr},
    {ngx_string("slab_cache_lock_age"), kAnywhere | NGX_CONF_TAKE1, ngx_conf_set_msec_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(lock_age), nullptr},
    {ngx_string("slab_cache_use_stale"), kAnywhere | NGX_CONF_1MORE, ngx_conf_set_bitmask_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(use_stale), stale_bits},
    {ngx_string("slab_cache_stale"), kAnywhere | NGX_CONF_1MORE, set_stale, NGX_HTTP_LOC_CONF_OFFSET,
     0, nullptr},
    {ngx_string("slab_cache_background_update"), kAnywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(background_update), nullptr},
    {ngx_string("slab_cache_revalidate"), kAnywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(revalidate), nullptr},
    {ngx_string("slab_cache_refresh"), kAnywhere | NGX_CONF_TAKE1, set_refresh,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(refresh_beta), nullptr},
    {ngx_string("slab_cache_tags"), kAnywhere | NGX_CONF_1MORE, set_tags, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(tags), nullptr},
    {ngx_string("slab_cache_invalidate"), kAnywhere | NGX_CONF_1MORE, ngx_conf_set_bitmask_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(invalidate), invalidate_bits},
    {ngx_string("slab_cache_purge"), kAnywhere | NGX_CONF_1MORE, set_purge, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(purge), nullptr},
    {ngx_string("slab_cache_api"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE12, set_api,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(api), nullptr},
    {ngx_string("slab_cache_status_header"), kAnywhere | NGX_CONF_TAKE1, ngx_conf_set_enum_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(status_header), status_header_words},
    ngx_null_command,
};

}  // namespace slab_cache::ngx
