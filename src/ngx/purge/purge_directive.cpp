#include "ngx/glue/ngx.h"

#include "ngx/purge/purge_directive.h"

#include "ngx/conf/conf.h"
#include "ngx/conf/directives.h"

namespace slab_cache::ngx {
namespace {

bool is_method(Bytes text) noexcept {
    for (char c : text) {
        if ((c < 'A' || c > 'Z') && c != '-' && c != '_') {
            return false;
        }
    }
    return !text.empty();
}

char* read_cidr(ngx_conf_t* cf, ngx_str_t* value, Cidrs* to) noexcept {
    if (view(*value) == "unix:") {
        to->unix_sockets = true;
        return NGX_CONF_OK;
    }
    auto* cidr = static_cast<ngx_cidr_t*>(ngx_array_push(&to->list));
    if (cidr == nullptr) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    const ngx_int_t rc = ngx_ptocidr(value, cidr);
    if (rc == NGX_ERROR) {
        return fail(cf, "invalid address \"%V\", it must be an address, a network such as \"10.0.0.0/8\", or \"unix:\"",
                    *value);
    }
    if (rc == NGX_DONE) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "low address bits of %V are meaningless", value);
    }
    return NGX_CONF_OK;
}

// METHOD [soft] from ADDRESS …
char* read_purge(ngx_conf_t* cf, PurgeConf* purge) noexcept {
    ngx_str_t* value = args(cf);
    purge->method = value[1];
    const Bytes method = view(value[1]);
    if (!is_method(method)) {
        return fail(cf, "invalid method \"%V\", it must be of capital letters, such as \"PURGE\"", value[1]);
    }
    if (method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE") {
        return fail(cf, "method \"%V\" is safe and must not purge, name another such as \"PURGE\"", value[1]);
    }
    ngx_uint_t i = 2;
    if (i < cf->args->nelts && view(value[i]) == "soft") {
        purge->soft = true;
        i++;
    }
    if (i >= cf->args->nelts || view(value[i]) != "from" || i + 1 >= cf->args->nelts) {
        return const_cast<char*>("must say \"from\" which addresses, such as \"PURGE from 127.0.0.1\"");
    }
    for (i++; i < cf->args->nelts; i++) {
        char* rv = read_cidr(cf, &value[i], &purge->from);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }
    return NGX_CONF_OK;
}

}  // namespace

// Once for each method.
char* set_purge(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    const ngx_str_t* value = args(cf);
    if (view(value[1]) == "off") {
        if (lcf->purge != NGX_CONF_UNSET_PTR) {
            return const_cast<char*>("is duplicate");
        }
        lcf->purge = nullptr;
        return cf->args->nelts == 2 ? NGX_CONF_OK : invalid_parameter(cf, value[2], "\"off\" stands alone");
    }
    PurgeConf* first = lcf->purge != NGX_CONF_UNSET_PTR ? lcf->purge : nullptr;
    if (lcf->purge == nullptr || find_purge(first, view(value[1])) != nullptr) {
        return const_cast<char*>("is duplicate");
    }
    auto* purge = pool_new<PurgeConf>(cf->pool);
    if (purge == nullptr || ngx_array_init(&purge->from.list, cf->pool, 4, sizeof(ngx_cidr_t)) != NGX_OK) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    purge->next = first;
    lcf->purge = purge;
    return read_purge(cf, purge);
}

}  // namespace slab_cache::ngx
