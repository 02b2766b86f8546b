#include "ngx/glue/ngx.h"

#include "ngx/conf/directive_watch.h"

#include "ngx/conf/conf.h"
#include "ngx/conf/credentials.h"
#include "ngx/conf/leftovers.h"
#include "ngx/conf/location_identity.h"
#include "ngx/conf/sent_fields.h"
#include "ngx/conf/slice_directive.h"

namespace slab_cache::ngx {
namespace {

using Setter = char* (*) (ngx_conf_t* cf, ngx_command_t* cmd, void* conf);

constexpr Bytes kPass[] = {"proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass", "grpc_pass"};
constexpr Bytes kAuthBasic = "auth_basic";
constexpr Bytes kSlice = "slice";
constexpr Bytes kBalancer[] = {"balancer_by_lua", "balancer_by_lua_block", "balancer_by_lua_file"};

// Without gzip_vary they say nothing of an Accept-Encoding for which they have no file.
constexpr Bytes kPrecompressed[] = {"gzip_static", "brotli_static", "zstd_static"};

// What is done to each client's answer with values of its request, by which method and body the origin is asked, which script a
// gateway is told to run.
constexpr Bytes kInputs[] = {
    "proxy_redirect", "proxy_cookie_domain", "proxy_cookie_path", "proxy_cookie_flags", "proxy_method",
    "proxy_set_body", "fastcgi_param",       "uwsgi_param",       "scgi_param",         "echo",
    "echo_duplicate"};
constexpr Bytes kAuthRequestSet = "auth_request_set";
constexpr Bytes kMap = "map";

constexpr Bytes kMemcPass = "memc_pass";  // of a module that is not nginx's

struct Watched {
    ngx_command_t* command;
    Setter setter;  // the module's own
};

constexpr size_t kMostWatched = 128;
Watched watched[kMostWatched];
size_t watched_count;

bool is_one_of(Bytes name, const Bytes* names, size_t n) noexcept {
    for (size_t i = 0; i < n; i++) {
        if (name == names[i]) {
            return true;
        }
    }
    return false;
}

char* call_and_look(ngx_conf_t* cf, ngx_command_t* command, void* conf) noexcept {
    for (size_t i = 0; i < watched_count; i++) {
        if (watched[i].command != command) {
            continue;
        }
        // A map's words are gone behind its setter, which reads the block.
        if (!note_leftover(cf, command) || (view(command->name) == kMap && !note_map(cf))) {
            return static_cast<char*>(NGX_CONF_ERROR);
        }
        char* rc = watched[i].setter(cf, command, conf);
        if (rc != NGX_CONF_OK) {
            return rc;
        }
        if (view(command->name) == kSlice) {
            note_slice(cf);
        }
        note_origin_request(cf, view(command->name));
        note_sender(cf);
        if (!note_sent_field(cf) || !note_asked_by_variable(cf)) {
            return static_cast<char*>(NGX_CONF_ERROR);
        }
        if (is_one_of(view(command->name), kPass, sizeof(kPass) / sizeof(kPass[0]))) {
            return note_pass(cf) ? NGX_CONF_OK : static_cast<char*>(NGX_CONF_ERROR);
        }
        if (is_one_of(view(command->name), kInputs, sizeof(kInputs) / sizeof(kInputs[0]))) {
            return note_inputs(cf) ? NGX_CONF_OK : static_cast<char*>(NGX_CONF_ERROR);
        }
        if (view(command->name) == kAuthRequestSet && !note_told_by_door(cf)) {
            return static_cast<char*>(NGX_CONF_ERROR);
        }
        if (view(command->name) == kAuthBasic) {
            note_auth_basic(cf);
        }
        if (is_one_of(view(command->name), kBalancer, sizeof(kBalancer) / sizeof(kBalancer[0]))) {
            main_conf(cf)->has_foreign_balancer = true;
        }
        if (is_one_of(view(command->name), kPrecompressed, sizeof(kPrecompressed) / sizeof(kPrecompressed[0]))) {
            main_conf(cf)->has_precompressed = true;
        }
        return NGX_CONF_OK;
    }
    return static_cast<char*>(NGX_CONF_ERROR);  // a row that is watched is in the list: cannot happen
}

void clean_watch(void*) noexcept { unwatch_directives(); }

}  // namespace

bool watch_directives(ngx_conf_t* cf) noexcept {
    ngx_pool_cleanup_t* cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == nullptr) {
        return false;
    }
    cln->handler = clean_watch;
    unwatch_directives();
    for (ngx_uint_t i = 0; cf->cycle->modules[i] != nullptr; i++) {
        ngx_module_t* module = cf->cycle->modules[i];
        if (module->type != NGX_HTTP_MODULE || module->commands == nullptr) {
            continue;
        }
        for (ngx_command_t* c = module->commands; c->name.len != 0; c++) {
            const Bytes name = view(c->name);
            const bool wanted = is_one_of(name, kPass, sizeof(kPass) / sizeof(kPass[0])) ||
                                is_one_of(name, kBalancer, sizeof(kBalancer) / sizeof(kBalancer[0])) ||
                                is_one_of(name, kInputs, sizeof(kInputs) / sizeof(kInputs[0])) ||
                                is_one_of(name, kPrecompressed, sizeof(kPrecompressed) / sizeof(kPrecompressed[0])) ||
                                name == kAuthBasic || name == kSlice || name == kMemcPass || name == kMap ||
                                shapes_origin_request(name) || is_of_leftovers(name);
            if (wanted && watched_count < kMostWatched) {
                watched[watched_count++] = {c, c->set};
                c->set = call_and_look;
            }
        }
    }
    return true;
}

void unwatch_directives() noexcept {
    for (size_t i = 0; i < watched_count; i++) {
        watched[i].command->set = watched[i].setter;
    }
    watched_count = 0;
}

}  // namespace slab_cache::ngx
