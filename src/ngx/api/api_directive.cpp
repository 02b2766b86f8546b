#include "ngx/glue/ngx.h"

#include "ngx/api/api_directive.h"

#include "ngx/api/api.h"
#include "ngx/api/signed_request.h"
#include "ngx/conf/conf.h"
#include "ngx/conf/directives.h"

namespace slab_cache::ngx {

char* set_api(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->api) {
        return const_cast<char*>("is duplicate");
    }
    lcf->api = 1;
    const ngx_str_t* value = args(cf);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (view(value[i]) == "write=on") {
            lcf->api_write = 1;
        } else if (view(value[i]) == "write=off") {
            lcf->api_write = 0;
        } else if (ngx_str_t word; parameter(value[i], "write=", &word)) {
            return fail(cf, "invalid write value \"%V\", it must be \"on\" or \"off\"", word);
        } else if (ngx_str_t path; parameter(value[i], "secret=", &path)) {
            if (char* rv = read_api_secret(cf, path, &lcf->api_secret); rv != NGX_CONF_OK) {
                return rv;
            }
        } else {
            return invalid_parameter(cf, value[i], "it must be \"write=on\", \"write=off\" or \"secret=file\"");
        }
    }
    auto* clcf = static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    if (clcf->handler != nullptr) {
        return const_cast<char*>("conflicts with another content handler of this location");
    }
#if (NGX_PCRE)
    if (clcf->regex != nullptr) {
        return const_cast<char*>("needs a location with a prefix, not a regular expression");
    }
#endif
    lcf->api_prefix = clcf->name;
    clcf->handler = api_handler;
    return NGX_CONF_OK;
}

}  // namespace slab_cache::ngx
