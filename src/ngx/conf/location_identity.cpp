#include "ngx/glue/ngx.h"

#include "ngx/conf/location_identity.h"

#include "cache/key.h"

namespace slab_cache::ngx {
namespace {

uint64_t add_number(uint64_t to, uint64_t n) noexcept {
    return cache::stable_hash({reinterpret_cast<const char*>(&n), sizeof(n)}, to);
}

// Names and addresses of the server block: what tells it from the others, however the file around it changes.
uint64_t names_identity(ngx_conf_t* cf) noexcept {
    auto* cscf = static_cast<ngx_http_core_srv_conf_t*>(ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module));
    auto* name = static_cast<ngx_http_server_name_t*>(cscf->server_names.elts);
    uint64_t id = 0;
    for (ngx_uint_t i = 0; i < cscf->server_names.nelts; i++) {
        id = cache::stable_hash(view(name[i].name), id);
    }
    return id;
}

uint64_t server_identity(ngx_conf_t* cf) noexcept {
    auto* cscf = static_cast<ngx_http_core_srv_conf_t*>(ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module));
    auto* cmcf = static_cast<ngx_http_core_main_conf_t*>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    uint64_t addresses = 0;  // a sum: their order in the file plays no part
    auto* port = cmcf->ports != nullptr ? static_cast<ngx_http_conf_port_t*>(cmcf->ports->elts) : nullptr;
    for (ngx_uint_t p = 0; port != nullptr && p < cmcf->ports->nelts; p++) {
        auto* addr = static_cast<ngx_http_conf_addr_t*>(port[p].addrs.elts);
        for (ngx_uint_t a = 0; a < port[p].addrs.nelts; a++) {
            auto** server = static_cast<ngx_http_core_srv_conf_t**>(addr[a].servers.elts);
            for (ngx_uint_t s = 0; s < addr[a].servers.nelts; s++) {
                if (server[s] == cscf) {
                    addresses += cache::stable_hash(view(addr[a].opt.addr_text), 0);
                }
            }
        }
    }
    return add_number(names_identity(cf), addresses);
}

uint64_t kind_of(const ngx_http_core_loc_conf_t* clcf) noexcept {
    uint64_t kind = (clcf->exact_match ? 1U : 0U) | (clcf->noregex ? 2U : 0U) | (clcf->named ? 4U : 0U) |
                    (clcf->noname ? 8U : 0U) | (clcf->lmt_excpt ? 16U : 0U);
#if (NGX_PCRE)
    kind |= clcf->regex != nullptr ? 32U : 0U;
#endif
    return kind;
}

// The client's URL, or the inner one and the root, which identity and key have already.
bool is_decided_by_url(Bytes variable) noexcept {
    static constexpr Bytes kNames[] = {"scheme",
                                       "host",
                                       "request_uri",
                                       "uri",
                                       "document_uri",
                                       "args",
                                       "query_string",
                                       "is_args",
                                       "document_root",
                                       "realpath_root",
                                       "fastcgi_script_name",
                                       "fastcgi_path_info",
                                       "server_name",
                                       "request_method",
                                       "https",
                                       "request_filename",
                                       "hostname",
                                       "nginx_version"};
    for (Bytes name : kNames) {
        if (variable == name) {
            return true;
        }
    }
    return base::starts_with(variable, "arg_");
}

// What a number stands for: a capture of the directive's own pattern, or of what led here, an `if` perhaps.
enum class Captures : uint8_t { kOfDirective, kOfLocation };

// Does the text name a variable that the URL does not decide?
bool has_input(Bytes text, Captures captures) noexcept {
    for (size_t at = text.find('$'); at != Bytes::npos; at = text.find('$', at + 1)) {
        size_t from = at + 1;
        from += from < text.size() && text[from] == '{' ? 1 : 0;
        size_t to = from;
        while (to < text.size() && (text[to] == '_' || (text[to] >= 'a' && text[to] <= 'z') ||
                                    (text[to] >= 'A' && text[to] <= 'Z') || (text[to] >= '0' && text[to] <= '9'))) {
            to++;
        }
        const Bytes name = base::slice(text, from, to - from);
        const bool is_capture = name.size() == 1 && name[0] >= '0' && name[0] <= '9';
        if (is_capture ? captures == Captures::kOfLocation : !name.empty() && !is_decided_by_url(name)) {
            return true;
        }
    }
    return false;
}

bool note_input(ngx_conf_t* cf, LocConf* conf, const ngx_str_t& text, Captures captures) noexcept {
    if (!has_input(view(text), captures)) {
        return true;
    }
    if (conf->inputs == nullptr) {
        conf->inputs = ngx_array_create(cf->pool, 2, sizeof(ngx_http_complex_value_t));
    }
    auto* value =
        conf->inputs != nullptr ? static_cast<ngx_http_complex_value_t*>(ngx_array_push(conf->inputs)) : nullptr;
    ngx_str_t copy = text;
    if (value == nullptr) {
        return false;
    }
    ngx_memzero(value, sizeof(*value));
    ngx_http_compile_complex_value_t ccv;
    ngx_memzero(&ccv, sizeof(ccv));
    ccv.cf = cf;
    ccv.value = &copy;
    ccv.complex_value = value;
    return ngx_http_compile_complex_value(&ccv) == NGX_OK;
}

// Who is asked, and for what, as the directive says it: one that is written anew asks for something else.
void add_written(ngx_conf_t* cf, LocConf* conf) noexcept {
    auto* word = static_cast<ngx_str_t*>(cf->args->elts);
    for (ngx_uint_t i = 0; i < cf->args->nelts; i++) {
        conf->written = cache::stable_hash(view(word[i]), conf->written);
    }
}

// Of a gateway's parameters those that say which program runs, and on what.
bool names_script(Bytes param) noexcept {
    static constexpr Bytes kNames[] = {"SCRIPT_FILENAME", "SCRIPT_NAME",     "DOCUMENT_ROOT", "DOCUMENT_URI",
                                       "PATH_INFO",       "PATH_TRANSLATED", "QUERY_STRING",  "REQUEST_URI",
                                       "UWSGI_SCRIPT",    "UWSGI_FILE",      "UWSGI_MODULE",  "UWSGI_APPID",
                                       "UWSGI_CHDIR",     "HTTP_HOST",       "SERVER_NAME"};
    for (Bytes name : kNames) {
        if (param == name) {
            return true;
        }
    }
    return false;
}

// What an outer level says counts where nginx takes it from there; where it does not, more is told apart than need be.
bool inherit_inputs(ngx_conf_t* cf, const LocConf* prev, LocConf* conf) noexcept {
    if (prev->inputs == nullptr || conf->inputs == nullptr) {
        conf->inputs = conf->inputs != nullptr ? conf->inputs : prev->inputs;
        return true;
    }
    auto* all = ngx_array_create(cf->pool, prev->inputs->nelts + conf->inputs->nelts, sizeof(ngx_http_complex_value_t));
    if (all == nullptr) {
        return false;
    }
    for (ngx_array_t* from : {prev->inputs, conf->inputs}) {
        auto* to = static_cast<ngx_http_complex_value_t*>(ngx_array_push_n(all, from->nelts));
        ngx_memcpy(to, from->elts, from->nelts * sizeof(ngx_http_complex_value_t));
    }
    conf->inputs = all;
    return true;
}

}  // namespace

bool note_pass(ngx_conf_t* cf) noexcept {
    auto* clcf = static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    auto* conf = static_cast<LocConf*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_slab_cache_module));
    conf->pass_handler = clcf->handler;
    add_written(cf, conf);
    auto* word = static_cast<ngx_str_t*>(cf->args->elts);
    return cf->args->nelts < 2 || note_input(cf, conf, word[1], Captures::kOfLocation);
}

bool note_inputs(ngx_conf_t* cf) noexcept {
    auto* conf = static_cast<LocConf*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_slab_cache_module));
    auto* word = static_cast<ngx_str_t*>(cf->args->elts);
    const bool is_param = base::ends_with(view(word[0]), "_param");
    if (is_param && !names_script(view(word[1]))) {
        return true;
    }
    add_written(cf, conf);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (!note_input(cf, conf, word[i], is_param ? Captures::kOfLocation : Captures::kOfDirective)) {
            return false;
        }
    }
    return true;
}

bool merge_identity(ngx_conf_t* cf, LocConf* prev, LocConf* conf) noexcept {
    auto* clcf = static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    const bool is_server = prev->identity == 0;  // the http block's own has none
    if (is_server) {
        conf->identity = server_identity(cf);
        conf->shared_identity = names_identity(cf);
    } else {
        conf->identity = add_number(cache::stable_hash(view(clcf->name), prev->identity), kind_of(clcf));
        conf->shared_identity = add_number(cache::stable_hash(view(clcf->name), prev->shared_identity), kind_of(clcf));
    }
    if (clcf->noname) {  // if, limit_except: parts of a location, told apart by their order
        conf->identity = add_number(conf->identity, ++prev->parts);
        conf->shared_identity = add_number(conf->shared_identity, prev->parts);
        if (conf->pass_handler == nullptr) {
            conf->pass_handler = prev->pass_handler;
        }
    }
    if (conf->written != 0) {
        conf->identity = add_number(conf->identity, conf->written);
        conf->shared_identity = add_number(conf->shared_identity, conf->written);
    }
    if (!inherit_inputs(cf, prev, conf)) {
        return false;
    }
    if (conf->identity < kReservedIdentities) {
        conf->identity += kReservedIdentities;
    }
    conf->identity_varies = conf->inputs != nullptr || clcf->root_lengths != nullptr;
    return true;
}

}  // namespace slab_cache::ngx
