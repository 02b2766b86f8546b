#include "ngx/glue/ngx.h"

#include "ngx/steps/phases.h"

#include <dlfcn.h>

#include "ngx/fill/clone.h"
#include "ngx/fill/direct_fill.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/steps/step.h"

namespace slab_cache::ngx {
namespace {

// nginx's own, the same in every cycle of this binary.
ngx_http_phase_handler_pt start_of_server;
ngx_http_phase_handler_pt start_of_location;

ngx_int_t content(ngx_http_request_t* r, ngx_http_phase_handler_t* ph) noexcept {
    const ngx_int_t rc = content_handler(r);
    switch (rc) {
    case NGX_DECLINED:
    case NGX_OK:  // r->content_handler is ours now
        return ngx_http_core_content_phase(r, ph);
    case NGX_AGAIN:  // parked
    case NGX_DONE:
        return NGX_OK;
    default:
        ngx_http_finalize_request(r, rc);
        return NGX_OK;
    }
}

// The first entry: for locations whose content handler runs before any other.
ngx_int_t at_content(ngx_http_request_t* r, ngx_http_phase_handler_t* ph) noexcept {
    return r->content_handler != nullptr ? content(r, ph) : ngx_http_core_content_phase(r, ph);
}

// nginx takes requests away from where they wait, or send: a client that leaves sends its own to the post_action.
void leave_waiting(ngx_http_request_t* r) noexcept {
    Ctx* ctx = find_ctx(r);
    if (ctx == nullptr) {
        return;
    }
    const bool waits = ctx->step == Step::kWait || ctx->step == Step::kStreaming || ctx->step == Step::kRelaying;
    if (waits || r->post_action) {
        detach_request(ctx);
        set_step(ctx, Step::kAnswered);
    }
}

// False: go on as nginx would.
bool has_left(ngx_http_request_t* r) noexcept {
#ifdef SLAB_TWIN_EARLY  // a broken twin, for tests: a fill follows wherever it is sent
    return false;
#endif
    if (is_clone(r->connection)) {
        if (r == r->main) {
            leave_location(r);
            return true;
        }
    } else if (r->internal) {
        leave_direct_location(r);
        leave_waiting(r);
    }
    return false;
}

ngx_int_t at_server(ngx_http_request_t* r, ngx_http_phase_handler_t* ph) noexcept {
    return has_left(r) ? static_cast<ngx_int_t>(NGX_OK) : start_of_server(r, ph);
}

ngx_int_t at_location(ngx_http_request_t* r, ngx_http_phase_handler_t* ph) noexcept {
    return has_left(r) ? static_cast<ngx_int_t>(NGX_OK) : start_of_location(r, ph);
}

bool is_redirecting(const MainConf& mcf, ngx_http_handler_pt handler) noexcept {
    return handler != nullptr && (handler == mcf.redirecting[0] || handler == mcf.redirecting[1]);
}

// It comes from an object of its own, not from nginx's program. Of brotli_static it is known that it sends files alone.
bool is_foreign(ngx_http_handler_pt handler) noexcept {
    Dl_info nginx;
    Dl_info other;
    if (dladdr(reinterpret_cast<void*>(&ngx_http_core_content_phase), &nginx) == 0 ||
        dladdr(reinterpret_cast<void*>(handler), &other) == 0) {
        return true;
    }
    return nginx.dli_fbase != other.dli_fbase &&
           Bytes{other.dli_fname, ngx_strlen(other.dli_fname)}.find("brotli_static") == Bytes::npos;
}

}  // namespace

// Only its module knows index's handler. Asked to register it once more, it shows it.
ngx_int_t find_redirecting_handlers(ngx_conf_t* cf) noexcept {
    static constexpr Bytes kNames[] = {"ngx_http_index_module", "ngx_http_random_index_module"};
    auto* cmcf = static_cast<ngx_http_core_main_conf_t*>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    ngx_array_t& handlers = cmcf->phases[NGX_HTTP_CONTENT_PHASE].handlers;
    for (ngx_uint_t i = 0; cf->cycle->modules[i] != nullptr; i++) {
        const ngx_module_t* module = cf->cycle->modules[i];
        for (size_t k = 0; k < sizeof(kNames) / sizeof(kNames[0]); k++) {
            if (module->type != NGX_HTTP_MODULE || kNames[k] != module->name) {
                continue;
            }
            const ngx_uint_t before = handlers.nelts;
            auto* ctx = static_cast<ngx_http_module_t*>(module->ctx);
            if (ctx->postconfiguration == nullptr || ctx->postconfiguration(cf) != NGX_OK) {
                return NGX_ERROR;
            }
            if (handlers.nelts == before + 1) {
                main_conf(cf)->redirecting[k] = static_cast<ngx_http_handler_pt*>(handlers.elts)[before];
            }
            handlers.nelts = before;
        }
    }
    return NGX_OK;
}

void stand_in_phases(ngx_cycle_t* cycle, MainConf* mcf) noexcept {
    auto* cmcf =
        static_cast<ngx_http_core_main_conf_t*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module));
    ngx_http_phase_engine_t& engine = cmcf->phase_engine;
    ngx_http_phase_handler_t* ph = engine.handlers;
    for (ngx_uint_t i = 0; ph[i].checker != nullptr; i++) {
        if (ph[i].checker != ngx_http_core_content_phase) {
            continue;
        }
        ngx_uint_t behind = i;  // of what only sends elsewhere
        mcf->has_foreign_content = false;
        for (ngx_uint_t j = i; ph[j].checker == ngx_http_core_content_phase; j++) {
            mcf->has_foreign_content = mcf->has_foreign_content || is_foreign(ph[j].handler);
            behind = is_redirecting(*mcf, ph[j].handler) ? j + 1 : behind;
        }
        ph[i].checker = at_content;
        if (ph[behind].checker != nullptr) {
            ph[behind].checker = content;
        }
        break;
    }
    start_of_server = ph[engine.server_rewrite_index].checker;
    ph[engine.server_rewrite_index].checker = at_server;
    start_of_location = ph[engine.location_rewrite_index].checker;
    ph[engine.location_rewrite_index].checker = at_location;
}

}  // namespace slab_cache::ngx
