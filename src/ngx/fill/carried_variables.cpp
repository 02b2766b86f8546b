// Once per configuration: which variables a clone gets from its client's request.
#include "ngx/glue/ngx.h"

#include "ngx/fill/clone.h"

#include "http/args.h"
#include "ngx/conf/conf.h"
#include "ngx/conf/directives.h"

namespace slab_cache::ngx {
namespace {

bool depends_on_connection(Bytes name) noexcept {
    static constexpr Bytes kNames[] = {"scheme",
                                       "https",
                                       "connection",
                                       "connection_requests",
                                       "connection_time",
                                       "server_addr",
                                       "server_port",
                                       "pipe",
                                       "http2",
                                       "http3",
                                       "request_id",
                                       "server_protocol",
                                       "quic",
                                       "realip_remote_addr",
                                       "realip_remote_port"};
    for (Bytes n : kNames) {
        if (name == n) {
            return true;
        }
    }
    return base::starts_with(name, "ssl_") || base::starts_with(name, "proxy_protocol_") ||
           base::starts_with(name, "tcpinfo_");
}

bool is_settable(const ngx_http_variable_t& v) noexcept {
    return (v.flags & NGX_HTTP_VAR_CHANGEABLE) != 0 && (v.flags & NGX_HTTP_VAR_NOCACHEABLE) == 0;
}

}  // namespace

ngx_int_t find_carried_variables(ngx_cycle_t* cycle, MainConf* mcf) noexcept {
    auto* cmcf =
        static_cast<ngx_http_core_main_conf_t*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module));
    if (ngx_array_init(&mcf->carried_variables, cycle->pool, 8, sizeof(ngx_uint_t)) != NGX_OK ||
        ngx_array_init(&mcf->settable_variables, cycle->pool, 8, sizeof(ngx_uint_t)) != NGX_OK) {
        return NGX_ERROR;
    }
    mcf->slice_range = -1;
    mcf->slice_index = -1;
    for (ngx_uint_t i = 0; cycle->modules[i] != nullptr; i++) {
        if (Bytes(cycle->modules[i]->name) == "ngx_http_lua_module") {
            mcf->lua_index = static_cast<ngx_int_t>(cycle->modules[i]->ctx_index);
        }
        if (Bytes(cycle->modules[i]->name) == "ngx_http_slice_filter_module") {
            mcf->slice_index = static_cast<ngx_int_t>(cycle->modules[i]->ctx_index);
        }
    }
    auto* v = static_cast<ngx_http_variable_t*>(cmcf->variables.elts);
    for (ngx_uint_t i = 0; i < cmcf->variables.nelts; i++) {
        if (view(v[i].name) == "slice_range") {
            mcf->slice_range = static_cast<ngx_int_t>(i);
        }
        const bool carried = depends_on_connection(view(v[i].name));
        if (!carried && !is_settable(v[i])) {
            continue;
        }
        auto* slot =
            static_cast<ngx_uint_t*>(ngx_array_push(carried ? &mcf->carried_variables : &mcf->settable_variables));
        if (slot == nullptr) {
            return NGX_ERROR;
        }
        *slot = i;
    }
    return NGX_OK;
}

bool carries_unkeyed_args(const Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    if (!ctx->fill_args_differ || ctx->conf->key_args == nullptr) {
        return false;
    }
    const Bytes written = view(r->unparsed_uri);
    const size_t mark = written.find('?');
    const Bytes written_args = mark != Bytes::npos ? base::slice(written, mark + 1) : Bytes{};
    const MainConf* mcf = main_conf(r);
    const auto* variable = static_cast<const ngx_http_variable_t*>(core_main_conf(r)->variables.elts);
    const auto* settable = static_cast<const ngx_uint_t*>(mcf->settable_variables.elts);
    for (ngx_uint_t i = 0; i < mcf->settable_variables.nelts; i++) {
        const ngx_http_variable_value_t& v = r->variables[settable[i]];
        if (!v.valid || v.not_found || names_variable(ctx->conf->key, view(variable[settable[i]].name))) {
            continue;
        }
        const Bytes value{reinterpret_cast<const char*>(v.data), v.len};
        if (http::shows_unkeyed(value, view(r->args), *ctx->conf->key_args) ||
            http::shows_unkeyed(value, written_args, *ctx->conf->key_args)) {
            return true;
        }
    }
    return false;
}

}  // namespace slab_cache::ngx
