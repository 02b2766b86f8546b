#include "ngx/glue/ngx.h"

#include "ngx/module/directive_table.h"

#include "ngx/api/api_directive.h"
#include "ngx/conf/conf.h"
#include "ngx/conf/directives.h"
#include "ngx/conf/masks.h"
#include "ngx/fleet/fleet_conf.h"
#include "ngx/purge/purge_directive.h"
#include "ngx/tier/tier_conf.h"
#include "ngx/zone/zone_directives.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_uint_t kAnywhere = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

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

char* set_ignore_headers(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept {
    const auto* word = static_cast<const ngx_str_t*>(cf->args->elts);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (base::equal_nocase(view(word[i]), "X-Accel-Redirect")) {
            ngx_conf_log_error(
                NGX_LOG_WARN, cf, 0,
                "\"%V\" in \"slab_cache_ignore_headers\" has no effect: the redirect is nginx's, use for example "
                "\"proxy_ignore_headers %V\"",
                &word[i], &word[i]);
        }
    }
    return ngx_conf_set_bitmask_slot(cf, cmd, conf);
}

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

}  // namespace

#define SLAB_AT(field) offsetof(LocConf, field)  // NOLINT: the command table wants offsets

ngx_command_t commands[] = {
    {ngx_string("slab_cache_zone"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE, set_zone, NGX_HTTP_MAIN_CONF_OFFSET, 0,
     nullptr},
    {ngx_string("slab_cache_fleet"), NGX_HTTP_MAIN_CONF | NGX_CONF_2MORE, set_fleet, NGX_HTTP_MAIN_CONF_OFFSET, 0,
     nullptr},
    {ngx_string("slab_cache_tier"), kAnywhere | NGX_CONF_1MORE, set_tier, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("slab_cache"), kAnywhere | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE1, set_cache, NGX_HTTP_LOC_CONF_OFFSET, 0,
     nullptr},
    {ngx_string("slab_cache_key"), kAnywhere | NGX_CONF_1MORE, set_key, NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(key),
     nullptr},
    {ngx_string("slab_cache_key_args"), kAnywhere | NGX_CONF_1MORE, set_key_args, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(key_args), nullptr},
    {ngx_string("slab_cache_methods"), kAnywhere | NGX_CONF_1MORE, ngx_conf_set_bitmask_slot, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(methods), method_bits},
    {ngx_string("slab_cache_convert_head"), kAnywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(convert_head), nullptr},
    {ngx_string("slab_cache_authorization"), kAnywhere | NGX_CONF_TAKE1, ngx_conf_set_enum_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(authorization), authorization_words},
    {ngx_string("slab_cache_valid"), kAnywhere | NGX_CONF_1MORE, set_valid, NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(valid),
     nullptr},
    {ngx_string("slab_cache_ttl"), kAnywhere | NGX_CONF_1MORE, set_ttl, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("slab_cache_bypass"), kAnywhere | NGX_CONF_1MORE, ngx_http_set_predicate_slot, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(bypass), nullptr},
    {ngx_string("slab_no_cache"), kAnywhere | NGX_CONF_1MORE, ngx_http_set_predicate_slot, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(no_cache), nullptr},
    {ngx_string("slab_cache_ignore_headers"), kAnywhere | NGX_CONF_1MORE, set_ignore_headers, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(ignore_headers), ignore_bits},
    {ngx_string("slab_cache_set_cookie"), kAnywhere | NGX_CONF_TAKE1, set_cookie_mode, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(set_cookie), nullptr},
    {ngx_string("slab_cache_min_uses"), kAnywhere | NGX_CONF_TAKE1, ngx_conf_set_num_slot, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(min_uses), &countable_uses},
    {ngx_string("slab_cache_vary"), kAnywhere | NGX_CONF_1MORE, set_vary, NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(vary),
     nullptr},
    {ngx_string("slab_cache_lock"), kAnywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(lock), nullptr},
    {ngx_string("slab_cache_lock_timeout"), kAnywhere | NGX_CONF_TAKE1, ngx_conf_set_msec_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(lock_timeout), nullptr},
    {ngx_string("slab_cache_lock_age"), kAnywhere | NGX_CONF_TAKE1, ngx_conf_set_msec_slot, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(lock_age), nullptr},
    {ngx_string("slab_cache_use_stale"), kAnywhere | NGX_CONF_1MORE, ngx_conf_set_bitmask_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(use_stale), stale_bits},
    {ngx_string("slab_cache_stale"), kAnywhere | NGX_CONF_1MORE, set_stale, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("slab_cache_background_update"), kAnywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(background_update), nullptr},
    {ngx_string("slab_cache_revalidate"), kAnywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(revalidate), nullptr},
    {ngx_string("slab_cache_refresh"), kAnywhere | NGX_CONF_TAKE1, set_refresh, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(refresh_beta), nullptr},
    {ngx_string("slab_cache_early_hints"), kAnywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(early_hints), nullptr},
    {ngx_string("slab_cache_tags"), kAnywhere | NGX_CONF_1MORE, set_tags, NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(tags),
     nullptr},
    {ngx_string("slab_cache_invalidate"), kAnywhere | NGX_CONF_1MORE, ngx_conf_set_bitmask_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(invalidate), invalidate_bits},
    {ngx_string("slab_cache_purge"), kAnywhere | NGX_CONF_1MORE, set_purge, NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(purge),
     nullptr},
    {ngx_string("slab_cache_api"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE12, set_api,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(api), nullptr},
    {ngx_string("slab_cache_status_header"), kAnywhere | NGX_CONF_TAKE1, ngx_conf_set_enum_slot,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(status_header), status_header_words},
    ngx_null_command,
};

}  // namespace slab_cache::ngx
