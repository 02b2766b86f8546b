// The module as nginx sees it: registration, and the two filters in front of all others.
#include "ngx/glue/ngx.h"

#include <dlfcn.h>

#include "ngx/fill/capture.h"
#include "ngx/fill/clone.h"
#include "ngx/conf/conf.h"
#include "ngx/request/ctx.h"
#include "ngx/fill/copy_in_passing.h"
#include "ngx/fill/direct_fill.h"
#include "ngx/conf/directive_watch.h"
#include "base/version.h"
#include "ngx/fleet/fleet_conf.h"
#include "ngx/fleet/member.h"
#include "ngx/module/directive_table.h"
#include "ngx/tier/tier_client.h"
#include "ngx/tier/tier_conf.h"
#include "ngx/zone/heritage.h"
#include "ngx/purge/observe_response.h"
#include "ngx/conf/leftovers.h"
#include "ngx/request/accounting.h"
#include "ngx/request/past.h"
#include "ngx/request/sliced_request.h"
#include "ngx/steps/step.h"
#include "ngx/steps/ask_tier.h"
#include "ngx/steps/lookup.h"
#include "ngx/steps/phases.h"
#include "ngx/request/cache_status_field.h"
#include "ngx/request/variables.h"
#include "ngx/zone/zone.h"
#include "ngx/zone/zone_directives.h"
#include "shm/layout.h"

namespace slab_cache::ngx {
namespace {

ngx_http_output_header_filter_pt next_header_filter;
ngx_http_output_body_filter_pt next_body_filter;

ngx_int_t header_filter(ngx_http_request_t* r) noexcept {
    if (r == r->main) {
        if (CloneFill* fill = fill_of(r)) {
            return capture_header(fill);
        }
    } else {
        note_subrequest(r);
    }
    auto* conf = loc_conf<LocConf>(r);
    if (conf->zone != nullptr || conf->zone_value != nullptr) {
        Ctx* ctx = get_ctx(r);
        if (ctx != nullptr && is_asking(ctx)) {
            if (const ngx_int_t rc = direct_header(r, ctx); rc != NGX_OK) {
                return rc;
            }
        } else if (ctx != nullptr && ctx->direct != nullptr) {
            // A second header: another answer takes the place of the one that is copied, a 412 for instance.
            stop_copying(ctx->direct, http::Reason::kElsewhere);
        }
        if (ctx != nullptr && ctx->part.is_subrequest() && !passes_as_part(r, ctx)) {
            return NGX_ERROR;
        }
        observe_response(r, conf);
        observe_unsafe(r, conf);
        if (conf->status_header != static_cast<ngx_uint_t>(StatusHeader::kOff) && !add_status_header(r, conf)) {
            return NGX_ERROR;
        }
    } else {
        observe_unsafe(r, conf);
    }
    // The filters behind us make 304, 206 and 412. What is refused, with 416 say, comes by once more.
    const ngx_int_t rc = next_header_filter(r);
    if (r == r->main && (rc == NGX_OK || rc == NGX_AGAIN || r->header_sent)) {
        count_sent(r);
    }
    return rc;
}

ngx_int_t body_filter(ngx_http_request_t* r, ngx_chain_t* in) noexcept {
    if (r == r->main) {
        if (CloneFill* fill = fill_of(r)) {
            return capture_body(fill, in);
        }
    }
    Ctx* ctx = get_ctx(r);
    if (ctx != nullptr && ctx->take_body != nullptr) {
        ctx->take_body(r, ctx, in);
    }
    return next_body_filter(r, in);
}

bool add_handler(ngx_http_core_main_conf_t* cmcf, ngx_http_phases phase, ngx_http_handler_pt handler) noexcept {
    auto* slot = static_cast<ngx_http_handler_pt*>(ngx_array_push(&cmcf->phases[phase].handlers));
    if (slot == nullptr) {
        return false;
    }
    *slot = handler;
    return true;
}

char* check_configuration(ngx_conf_t* cf, void* conf) noexcept {
    char* rv = check_zones(cf, conf);
    rv = rv == NGX_CONF_OK ? check_fleets(cf, conf) : rv;
    return rv == NGX_CONF_OK ? check_tiers(cf, conf) : rv;
}

char* merge_location(ngx_conf_t* cf, void* parent, void* child) noexcept {
    char* rv = merge_loc_conf(cf, parent, child);
    if (rv == NGX_CONF_OK) {
        note_default_key(cf, static_cast<LocConf*>(child));
        warn_of_slices(cf, *static_cast<LocConf*>(child));
        warn_of_other_fleet(cf, *static_cast<LocConf*>(child));
    }
    return rv;
}

ngx_int_t preconfiguration(ngx_conf_t* cf) noexcept {
    const ngx_int_t rc = add_variables(cf);
    return rc == NGX_OK ? add_tier_variable(cf) : rc;
}

ngx_int_t postconfiguration(ngx_conf_t* cf) noexcept {
    auto* cmcf = static_cast<ngx_http_core_main_conf_t*>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    if (!add_handler(cmcf, NGX_HTTP_PREACCESS_PHASE, arrive) ||
        !add_handler(cmcf, NGX_HTTP_PRECONTENT_PHASE, purge_phase_handler)) {
        return NGX_ERROR;
    }
    unwatch_directives();
    next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = header_filter;
    next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = body_filter;
    tell_leftovers(cf);
    if (!complete_fleets(cf) || !complete_tiers(cf)) {
        return NGX_ERROR;
    }
    return find_redirecting_handlers(cf);
}

const char* file_of(void* function) noexcept {
    Dl_info info;
    return dladdr(function, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "another module";
}

// What a filter before ours makes of a response for one client would be stored for all. nginx sorts most modules by itself; those that say
// nothing of their place stand where they are loaded.
void tell_filters_before_us(ngx_cycle_t* cycle) noexcept {
    const char* who =
        ngx_http_top_header_filter != header_filter ? file_of(reinterpret_cast<void*>(ngx_http_top_header_filter))
        : ngx_http_top_body_filter != body_filter   ? file_of(reinterpret_cast<void*>(ngx_http_top_body_filter))
                                                    : nullptr;
    if (who != nullptr) {
        ngx_log_error(
            NGX_LOG_WARN, cycle->log, 0,
            "\"%s\" filters responses before slab_cache stores them: its load_module must stand before that of "
            "ngx_http_slab_cache_module.so",
            who);
    }
}

// In the master, when a configuration is complete and before workers are forked. No side effects: nginx -t comes here too.
ngx_int_t init_module(ngx_cycle_t* cycle) noexcept {
    if (cycle->conf_ctx[ngx_http_module.index] == nullptr) {
        return NGX_OK;
    }
    auto* mcf = static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_slab_cache_module));
    tell_filters_before_us(cycle);
    look_behind_upstream_variables(cycle);
    stand_in_phases(cycle, mcf);
    reserve_connections(cycle);
    if (!ngx_test_config) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0, "slab_cache %s, layout %uD, built for nginx/%s", base::kVersion,
                      shm::kLayoutVersion, NGINX_VERSION);
    }
    reserve_fleet_connections(cycle);
    reserve_tier_connections(cycle);
    count_fleet_cycle(cycle);
    const ngx_int_t rc = find_carried_variables(cycle, mcf);
    if (rc == NGX_OK) {
        name_zone_files(cycle);  // none are fresh under nginx -t
        drop_heritage(cycle);
    }
    return rc;
}

ngx_int_t start_process(ngx_cycle_t* cycle) noexcept {
    keep_past(cycle);
    const ngx_int_t rc = start_worker(cycle);
    if (rc == NGX_OK) {
        start_fleets(cycle);
    }
    return rc;
}

void stop_process(ngx_cycle_t* cycle) noexcept {
    stop_tiers(cycle);
    stop_fleets(cycle);
    stop_worker(cycle);
}

ngx_http_module_t module_ctx = {
    preconfiguration,    /* preconfiguration */
    postconfiguration,   /* postconfiguration */
    create_main_conf,    /* create main configuration */
    check_configuration, /* init main configuration */
    nullptr,             /* create server configuration */
    nullptr,             /* merge server configuration */
    create_loc_conf,     /* create location configuration */
    merge_location,      /* merge location configuration */
};

}  // namespace
}  // namespace slab_cache::ngx

// Exported by name: nginx looks it up after dlopen().
extern "C" {

__attribute__((visibility("default"))) ngx_module_t ngx_http_slab_cache_module = {
    NGX_MODULE_V1,
    &slab_cache::ngx::module_ctx,
    slab_cache::ngx::commands,
    NGX_HTTP_MODULE,
    nullptr,                           /* init master */
    slab_cache::ngx::init_module,      /* init module */
    slab_cache::ngx::start_process,    /* init process */
    nullptr,                           /* init thread */
    nullptr,                           /* exit thread */
    slab_cache::ngx::stop_process,     /* exit process */
    slab_cache::ngx::leave_zone_files, /* exit master */
    NGX_MODULE_V1_PADDING,
};

}  // extern "C"
