#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

#include "ngx/conf/credentials.h"
#include "ngx/conf/directive_watch.h"
#include "ngx/conf/directives.h"
#include "ngx/conf/leftovers.h"
#include "ngx/conf/location_identity.h"
#include "ngx/conf/sent_fields.h"
#include "ngx/conf/slice_directive.h"
#include "ngx/conf/masks.h"

namespace slab_cache::ngx {
namespace {

// Whole answers in a row before a location is filled directly. `make torture-direct` builds a module that needs none.
#ifdef SLAB_DIRECT_FROM_THE_FIRST
constexpr uint32_t kWholeNeeded = 0;
#else
constexpr uint32_t kWholeNeeded = 16;
#endif
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
    p.tags.usual = conf->tags_mode == kTagsFromResponse;
    if (conf->tag_fields != nullptr) {
        p.tags = *conf->tag_fields;
    }
}

// What a POST asks for is in its body: nobody but the operator knows which of them have the same answer.
bool check_methods(ngx_conf_t* cf, const LocConf* conf) noexcept {
    auto* clcf = static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    const bool is_level = clcf->name.len != 0 || clcf->noname;
    if ((conf->methods & bit(http::kCachePost)) == 0 || conf->key != nullptr || !is_level ||
        (conf->zone == nullptr && conf->zone_value == nullptr)) {
        return true;
    }
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"slab_cache_methods POST\" in location \"%V\" needs a \"slab_cache_key\" that says which of "
                       "them have the same "
                       "answer, such as \"$scheme$host$request_uri$request_body\"",
                       &clcf->name);
    return false;
}

// One that passes by is looked at when its answer is there: what variables of nginx's proxy module, and of the body, are then they
// are not when a GET is looked up.
bool may_post_fill_get(const LocConf& conf) noexcept {
    if ((conf.methods & bit(http::kCachePost)) != 0) {
        return is_known_for_get(conf.key);
    }
    if (conf.is_sliced || (conf.invalidate & (kInvalidateUnsafe | kInvalidateLocation)) == 0) {
        return false;
    }
    return conf.key == nullptr || (is_known_for_get(conf.key) && !names_variable(conf.key, "request_body") &&
                                   !names_variable(conf.key, "proxy_host") && !names_variable(conf.key, "proxy_port"));
}

// For those who look at an answer without a request (explain.h).
bool note_location(ngx_conf_t* cf, const LocConf* conf) noexcept {
    if (conf->zone == nullptr && conf->zone_value == nullptr) {
        return true;
    }
    MainConf* main = main_conf(cf);
    auto** location = static_cast<const LocConf**>(ngx_array_push(&main->locations));
    if (location == nullptr) {
        return false;
    }
    *location = conf;
    auto** known = static_cast<const http::VaryPolicy**>(main->vary_policies.elts);
    for (ngx_uint_t i = 0; i < main->vary_policies.nelts; i++) {
        if (http::makes_same_keys(*known[i], conf->policy.vary)) {
            return true;
        }
    }
    auto** policy = static_cast<const http::VaryPolicy**>(ngx_array_push(&main->vary_policies));
    if (policy == nullptr) {
        return false;
    }
    *policy = &conf->policy.vary;
    return true;
}

}  // namespace

void* create_main_conf(ngx_conf_t* cf) noexcept {
    auto* conf = pool_new<MainConf>(cf->pool);
    if (conf == nullptr || ngx_array_init(&conf->zones, cf->pool, 2, sizeof(Zone*)) != NGX_OK ||
        ngx_array_init(&conf->fleets, cf->pool, 1, sizeof(FleetConf*)) != NGX_OK ||
        ngx_array_init(&conf->tiers, cf->pool, 1, sizeof(TierConf*)) != NGX_OK ||
        ngx_array_init(&conf->locations, cf->pool, 16, sizeof(LocConf*)) != NGX_OK ||
        ngx_array_init(&conf->vary_policies, cf->pool, 2, sizeof(http::VaryPolicy*)) != NGX_OK ||
        ngx_array_init(&conf->told_by_door, cf->pool, 4, sizeof(ngx_str_t)) != NGX_OK ||
        ngx_array_init(&conf->maps, cf->pool, 4, sizeof(MapLine)) != NGX_OK || !begin_leftovers(cf) ||
        !watch_directives(cf)) {
        return nullptr;
    }
    conf->lua_index = -1;
    static time_t started = 0;  // the master's, in all its configurations
    started = started != 0 ? started : ngx_time();
    conf->started = started;
    conf->loaded = ngx_time();
    return conf;
}

void* create_loc_conf(ngx_conf_t* cf) noexcept {
    auto* conf = static_cast<LocConf*>(ngx_pcalloc(cf->pool, sizeof(LocConf)));
    if (conf == nullptr) {
        return nullptr;
    }
    conf->history = pool_new<AnswerHistory>(cf->pool);
    conf->beside = create_beside(cf->pool);
    if (conf->history == nullptr || conf->beside == nullptr) {
        return nullptr;
    }
    conf->history->needed = kWholeNeeded;
    conf->zone = static_cast<Zone*>(NGX_CONF_UNSET_PTR);
    conf->tier = static_cast<TierConf*>(NGX_CONF_UNSET_PTR);
    conf->key = static_cast<ngx_array_t*>(NGX_CONF_UNSET_PTR);
    conf->key_args = static_cast<http::ArgsPolicy*>(NGX_CONF_UNSET_PTR);
    conf->valid = static_cast<ngx_array_t*>(NGX_CONF_UNSET_PTR);
    conf->ttl_set = NGX_CONF_UNSET;
    conf->bypass = static_cast<ngx_array_t*>(NGX_CONF_UNSET_PTR);
    conf->no_cache = static_cast<ngx_array_t*>(NGX_CONF_UNSET_PTR);
    conf->authorization = NGX_CONF_UNSET_UINT;
    conf->auth_basic = NGX_CONF_UNSET;
    conf->set_cookie = NGX_CONF_UNSET_UINT;
    conf->min_uses = NGX_CONF_UNSET_UINT;
    conf->vary = static_cast<http::VaryPolicy*>(NGX_CONF_UNSET_PTR);
#define SLAB_SWITCH(field, by_default) conf->field = NGX_CONF_UNSET;
#define SLAB_TIME(field, by_default) conf->field = NGX_CONF_UNSET_MSEC;
#include "ngx/conf/plain.def"
    conf->stale_set = NGX_CONF_UNSET;
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
#define SLAB_SWITCH(field, by_default) ngx_conf_merge_value(conf->field, prev->field, by_default);
#define SLAB_TIME(field, by_default) ngx_conf_merge_msec_value(conf->field, prev->field, by_default);
#include "ngx/conf/plain.def"
    merge_ptr(&conf->zone, prev->zone);
    merge_ptr(&conf->tier, prev->tier);
    merge_ptr(&conf->key, prev->key);
    merge_ptr(&conf->key_args, prev->key_args);
    merge_ptr(&conf->valid, prev->valid);
    merge_ptr(&conf->bypass, prev->bypass);
    merge_ptr(&conf->no_cache, prev->no_cache);
    merge_ptr(&conf->vary, prev->vary);
    merge_ptr(&conf->purge, prev->purge);
    if (conf->tags_mode == NGX_CONF_UNSET_UINT) {
        conf->tags = prev->tags;
        conf->tag_fields = prev->tag_fields;
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
        conf->methods |= bit(http::kCacheGet) | bit(http::kCacheHead);  // as proxy_cache_methods adds them
    }
    conf->head_apart = conf->convert_head == 0 && names_variable(conf->key, "request_method");
    ngx_conf_merge_uint_value(conf->authorization, prev->authorization, kAuthorizationRefuse);
    ngx_conf_merge_value(conf->auth_basic, prev->auth_basic, 0);
    ngx_conf_merge_bitmask_value(conf->ignore_headers, prev->ignore_headers, NGX_CONF_BITMASK_SET);
    ngx_conf_merge_uint_value(conf->set_cookie, prev->set_cookie, static_cast<ngx_uint_t>(http::SetCookie::kRefuse));
    ngx_conf_merge_uint_value(conf->min_uses, prev->min_uses, 1);
    ngx_conf_merge_bitmask_value(conf->use_stale, prev->use_stale, (NGX_CONF_BITMASK_SET | bit(http::kStaleDefault)));
    if ((conf->use_stale & ~NGX_CONF_BITMASK_SET) == kStaleForceBit) {
        conf->use_stale |= bit(http::kStaleDefault);  // the word alone
    }
    ngx_conf_merge_value(conf->refresh_beta, prev->refresh_beta, 0);
    ngx_conf_merge_uint_value(conf->tags_mode, prev->tags_mode, kTagsFromResponse);
    ngx_conf_merge_bitmask_value(conf->invalidate, prev->invalidate,
                                 (NGX_CONF_BITMASK_SET | kInvalidateUnsafe | kInvalidateGroups));
    ngx_conf_merge_uint_value(conf->status_header, prev->status_header, static_cast<ngx_uint_t>(StatusHeader::kOff));
    merge_slice(prev, conf);
    merge_sent_fields(prev, conf);
    conf->post_fills_get = may_post_fill_get(*conf);
    build_policy(conf);
    const bool ok = check_methods(cf, conf) && check_credentials(cf, conf) && merge_identity(cf, prev, conf) &&
                    merge_beside(cf, prev, conf) && note_location(cf, conf);
    return ok ? NGX_CONF_OK : static_cast<char*>(NGX_CONF_ERROR);
}

}  // namespace slab_cache::ngx
