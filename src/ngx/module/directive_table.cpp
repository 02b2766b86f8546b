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

// nginx's setters say "invalid value" and no more: these look first, and say what would be right.
template <class Row>
char* check_words(ngx_conf_t* cf, const ngx_command_t* cmd) noexcept {
    const auto* rows = static_cast<const Row*>(cmd->post);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        const ngx_str_t& word = args(cf)[i];
        Choice words;
        const Row* row = rows;
        while (row->name.len != 0 && !base::equal_nocase(view(row->name), view(word))) {
            words.add(row->name, row[1].name.len == 0);
            row++;
        }
        if (row->name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\" in \"%V\" directive, it must be %*s", &word,
                               &cmd->name, words.bytes, words.text);
            return static_cast<char*>(NGX_CONF_ERROR);
        }
    }
    return NGX_CONF_OK;
}

char* set_mask(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept {
    char* rv = check_words<ngx_conf_bitmask_t>(cf, cmd);
    return rv == NGX_CONF_OK ? ngx_conf_set_bitmask_slot(cf, cmd, conf) : rv;
}

char* set_word(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept {
    char* rv = check_words<ngx_conf_enum_t>(cf, cmd);
    return rv == NGX_CONF_OK ? ngx_conf_set_enum_slot(cf, cmd, conf) : rv;
}

char* fail_value(ngx_conf_t* cf, const ngx_command_t* cmd, const char* right) noexcept {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\" in \"%V\" directive, %s", &args(cf)[1], &cmd->name,
                       right);
    return static_cast<char*>(NGX_CONF_ERROR);
}

char* set_time(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept {
    ngx_str_t value = args(cf)[1];
    return ngx_parse_time(&value, 0) == NGX_ERROR
               ? fail_value(cf, cmd, "it must be a time such as \"500ms\", \"5s\" or \"1m\"")
               : ngx_conf_set_msec_slot(cf, cmd, conf);
}

// The sketch of uses counts no further: more would never be reached, and nothing stored.
char* set_uses(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept {
    const ngx_int_t n = ngx_atoi(args(cf)[1].data, args(cf)[1].len);
    static_assert(shm::kMaxUses == 15, "the message below, and README");
    return n >= 1 && n <= ngx_int_t{shm::kMaxUses} ? ngx_conf_set_num_slot(cf, cmd, conf)
                                                   : fail_value(cf, cmd, "it must be a number from 1 to 15");
}

char* set_ignore_headers(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept {
    const ngx_str_t* word = args(cf);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (base::equal_nocase(view(word[i]), "X-Accel-Redirect")) {
            ngx_conf_log_error(
                NGX_LOG_WARN, cf, 0,
                "\"%V\" in \"slab_cache_ignore_headers\" has no effect: the redirect is nginx's, use for example "
                "\"proxy_ignore_headers %V\"",
                &word[i], &word[i]);
        }
    }
    return set_mask(cf, cmd, conf);
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

}  // namespace

#define SLAB_AT(field) offsetof(LocConf, field)  // NOLINT: the command table wants offsets

ngx_command_t commands[] = {
#define SLAB_SWITCH(field, by_default) \
    {ngx_string("slab_cache_" #field), \
     kAnywhere | NGX_CONF_FLAG,        \
     ngx_conf_set_flag_slot,           \
     NGX_HTTP_LOC_CONF_OFFSET,         \
     SLAB_AT(field),                   \
     nullptr},
#define SLAB_TIME(field, by_default)   \
    {ngx_string("slab_cache_" #field), \
     kAnywhere | NGX_CONF_TAKE1,       \
     set_time,                         \
     NGX_HTTP_LOC_CONF_OFFSET,         \
     SLAB_AT(field),                   \
     nullptr},
#include "ngx/conf/plain.def"
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
    {ngx_string("slab_cache_methods"), kAnywhere | NGX_CONF_1MORE, set_mask, NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(methods),
     method_bits},
    {ngx_string("slab_cache_authorization"), kAnywhere | NGX_CONF_TAKE1, set_word, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(authorization), authorization_words},
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
    {ngx_string("slab_cache_min_uses"), kAnywhere | NGX_CONF_TAKE1, set_uses, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(min_uses), nullptr},
    {ngx_string("slab_cache_vary"), kAnywhere | NGX_CONF_1MORE, set_vary, NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(vary),
     nullptr},
    {ngx_string("slab_cache_use_stale"), kAnywhere | NGX_CONF_1MORE, set_mask, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(use_stale), stale_bits},
    {ngx_string("slab_cache_stale"), kAnywhere | NGX_CONF_1MORE, set_stale, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("slab_cache_refresh"), kAnywhere | NGX_CONF_TAKE1, set_refresh, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(refresh_beta), nullptr},
    {ngx_string("slab_cache_tags"), kAnywhere | NGX_CONF_1MORE, set_tags, NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(tags),
     nullptr},
    {ngx_string("slab_cache_invalidate"), kAnywhere | NGX_CONF_1MORE, set_mask, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(invalidate), invalidate_bits},
    {ngx_string("slab_cache_purge"), kAnywhere | NGX_CONF_1MORE, set_purge, NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(purge),
     nullptr},
    {ngx_string("slab_cache_api"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE12, set_api,
     NGX_HTTP_LOC_CONF_OFFSET, SLAB_AT(api), nullptr},
    {ngx_string("slab_cache_status_header"), kAnywhere | NGX_CONF_TAKE1, set_word, NGX_HTTP_LOC_CONF_OFFSET,
     SLAB_AT(status_header), status_header_words},
    ngx_null_command,
};

}  // namespace slab_cache::ngx
