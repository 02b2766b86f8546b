#include "ngx/glue/ngx.h"

#include "ngx/conf/credentials.h"

#include "ngx/conf/directives.h"

namespace slab_cache::ngx {
namespace {

bool is_password_checked(const LocConf* conf, const ngx_http_core_loc_conf_t* clcf) noexcept {
    return conf->auth_basic == 1 && clcf->satisfy == NGX_HTTP_SATISFY_ALL;
}

}  // namespace

void note_auth_basic(ngx_conf_t* cf) noexcept {
    auto* conf = static_cast<LocConf*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_slab_cache_module));
    const Bytes realm = view(static_cast<ngx_str_t*>(cf->args->elts)[1]);
    conf->auth_basic = realm != "off" && realm.find('$') == Bytes::npos ? 1 : 0;  // a variable may come to "off"
}

bool check_credentials(ngx_conf_t* cf, LocConf* conf) noexcept {
    auto* clcf = static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    conf->keyed_by = KeyedBy::kNothing;
    if (conf->authorization != kAuthorizationKeyed || (conf->zone == nullptr && conf->zone_value == nullptr)) {
        return true;
    }
    const bool by_name = names_variable(conf->key, "remote_user");
    if (names_variable(conf->key, "http_authorization")) {
        conf->keyed_by = KeyedBy::kField;
    } else if (by_name && is_password_checked(conf, clcf)) {
        conf->keyed_by = KeyedBy::kUser;
    }
    if (conf->keyed_by != KeyedBy::kNothing || (clcf->name.len == 0 && !clcf->noname)) {
        return true;  // a server's own level is what its locations start from: there nothing is shared
    }
    if (by_name) {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "\"slab_cache_authorization keyed\" in location \"%V\": $remote_user in \"slab_cache_key\" is the name "
            "that a client gives where \"auth_basic\" does not check each; write $http_authorization",
            &clcf->name);
    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"slab_cache_authorization keyed\" in location \"%V\" needs a \"slab_cache_key\" with "
                           "$http_authorization in it, or $remote_user where \"auth_basic\" checks it",
                           &clcf->name);
    }
    return false;
}

bool has_unkeyed_credentials(ngx_http_request_t* r) noexcept {
    if (r->headers_in.authorization == nullptr) {
        return false;
    }
    switch (loc_conf<LocConf>(r)->keyed_by) {
    case KeyedBy::kField:
        return false;
    case KeyedBy::kUser:
        return ngx_http_auth_basic_user(r) != NGX_OK || r->headers_in.user.len == 0;
    case KeyedBy::kNothing:
        break;
    }
    return true;
}

}  // namespace slab_cache::ngx
