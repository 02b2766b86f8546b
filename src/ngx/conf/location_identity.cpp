#include "ngx/glue/ngx.h"

#include "ngx/conf/location_identity.h"

#include "cache/key.h"
#include "ngx/conf/sent_fields.h"

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
                                       "http_host",
                                       "proxy_host",
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

template <typename Function>
void each_variable(Bytes text, Function&& function) noexcept {
    for (size_t at = text.find('$'); at != Bytes::npos; at = text.find('$', at + 1)) {
        size_t from = at + 1;
        from += from < text.size() && text[from] == '{' ? 1 : 0;
        size_t to = from;
        while (to < text.size() && (text[to] == '_' || (text[to] >= 'a' && text[to] <= 'z') ||
                                    (text[to] >= 'A' && text[to] <= 'Z') || (text[to] >= '0' && text[to] <= '9'))) {
            to++;
        }
        if (to != from) {
            function(base::slice(text, from, to - from));
        }
    }
}

// Does the text name a variable that the URL does not decide?
bool has_input(Bytes text, Captures captures) noexcept {
    bool has = false;
    each_variable(text, [&](Bytes name) {
        const bool is_capture = name.size() == 1 && name[0] >= '0' && name[0] <= '9';
        has = has || (is_capture ? captures == Captures::kOfLocation : !is_decided_by_url(name));
    });
    return has;
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

// With room for `more`.
ngx_array_t* copy_inputs(ngx_pool_t* pool, const ngx_array_t* from, ngx_uint_t more) noexcept {
    const ngx_uint_t n = from != nullptr ? from->nelts : 0;
    ngx_array_t* all = ngx_array_create(pool, n + more, sizeof(ngx_http_complex_value_t));
    if (all != nullptr && n != 0) {
        ngx_memcpy(ngx_array_push_n(all, n), from->elts, n * sizeof(ngx_http_complex_value_t));
    }
    return all;
}

constexpr uint32_t kMostMaps = 8;  // one behind the other

bool is_told_by_door(const MainConf* mcf, Bytes variable, uint32_t maps = 0) noexcept {
    const auto* told = static_cast<const ngx_str_t*>(mcf->told_by_door.elts);
    for (ngx_uint_t i = 0; i < mcf->told_by_door.nelts; i++) {
        if (base::equal_nocase(view(told[i]), variable)) {
            return true;
        }
    }
    bool is_told = variable == "remote_user" || base::starts_with(variable, "ssl_client_");
    const auto* map = static_cast<const MapLine*>(mcf->maps.elts);
    for (ngx_uint_t i = 0; i < mcf->maps.nelts && maps < kMostMaps && !is_told; i++) {
        if (base::equal_nocase(base::slice(view(map[i].to), 1), variable)) {
            each_variable(view(map[i].from),
                          [&](Bytes name) { is_told = is_told || is_told_by_door(mcf, name, maps + 1); });
        }
    }
    return is_told;
}

// Of what the origin is sent: which site is asked for, and on whose behalf. The door says whose: auth_request, auth_basic, TLS. What
// passes a client's own credentials on says no more than they do (credentials.h).
bool says_site_or_person(const MainConf* mcf, const SentField& field) noexcept {
    const Bytes text = view(field.value.value);
    if (base::equal_nocase(field.name, "Host")) {
        return true;
    }
    if (base::equal_nocase(field.name, "Authorization") && text != "$http_authorization") {
        return true;
    }
    bool told = false;
    each_variable(text, [&](Bytes name) { told = told || is_told_by_door(mcf, name); });
    return told;
}

bool add_sent_inputs(ngx_conf_t* cf, LocConf* conf) noexcept {
    const ngx_array_t* sent = sent_fields(conf);
    const auto* field = sent != nullptr ? static_cast<const SentField*>(sent->elts) : nullptr;
    ngx_array_t* all = nullptr;
    for (ngx_uint_t i = 0; sent != nullptr && i < sent->nelts; i++) {
        if (!says_site_or_person(main_conf(cf), field[i])) {
            continue;
        }
        const Bytes text = view(field[i].value.value);
        conf->identity = cache::stable_hash(text, conf->identity);
        conf->shared_identity = cache::stable_hash(text, conf->shared_identity);
        if (!has_input(text, Captures::kOfLocation)) {
            continue;
        }
        if (all == nullptr && (all = copy_inputs(cf->pool, conf->inputs, sent->nelts)) == nullptr) {
            return false;
        }
        *static_cast<ngx_http_complex_value_t*>(ngx_array_push(all)) = field[i].value;
    }
    conf->inputs = all != nullptr ? all : conf->inputs;
    return true;
}

// What an outer level says counts where nginx takes it from there; where it does not, more is told apart than need be.
bool inherit_inputs(ngx_conf_t* cf, const LocConf* prev, LocConf* conf) noexcept {
    if (prev->inputs == nullptr || conf->inputs == nullptr) {
        conf->inputs = conf->inputs != nullptr ? conf->inputs : prev->inputs;
        return true;
    }
    ngx_array_t* all = copy_inputs(cf->pool, prev->inputs, conf->inputs->nelts);
    if (all == nullptr) {
        return false;
    }
    auto* to = static_cast<ngx_http_complex_value_t*>(ngx_array_push_n(all, conf->inputs->nelts));
    ngx_memcpy(to, conf->inputs->elts, conf->inputs->nelts * sizeof(ngx_http_complex_value_t));
    conf->inputs = all;
    return true;
}

}  // namespace

bool says_more_than_url(Bytes text) noexcept {
    bool more = false;
    each_variable(text, [&](Bytes name) {
        const bool is_capture = name.size() == 1 && name[0] >= '0' && name[0] <= '9';
        const bool is_keyed = name == "slice_range" || name == "server_port" || name == "proxy_port";
        more = more || (!is_capture && !is_keyed && !is_decided_by_url(name));
    });
    return more;
}

bool note_pass(ngx_conf_t* cf) noexcept {
    auto* clcf = static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    auto* conf = static_cast<LocConf*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_slab_cache_module));
    conf->pass_handler = clcf->handler;
    add_written(cf, conf);
    auto* word = static_cast<ngx_str_t*>(cf->args->elts);
    return cf->args->nelts < 2 || note_input(cf, conf, word[1], Captures::kOfLocation);
}

bool note_told_by_door(ngx_conf_t* cf) noexcept {
    ngx_str_t name = static_cast<ngx_str_t*>(cf->args->elts)[1];
    auto* slot = static_cast<ngx_str_t*>(ngx_array_push(&main_conf(cf)->told_by_door));
    if (slot == nullptr) {
        return false;
    }
    if (name.len != 0 && name.data[0] == '$') {  // nginx's setter has cut it off
        name.data++;
        name.len--;
    }
    *slot = name;
    return true;
}

bool note_map(ngx_conf_t* cf) noexcept {
    const auto* word = static_cast<const ngx_str_t*>(cf->args->elts);
    auto* line = static_cast<MapLine*>(ngx_array_push(&main_conf(cf)->maps));
    if (line == nullptr) {
        return false;
    }
    *line = {word[1], word[2]};
    return true;
}

bool note_asked_by_variable(ngx_conf_t* cf) noexcept {
    static const struct {
        Bytes directive;
        ngx_str_t variable;
    } kRows[] = {{"memcached_pass", ngx_string("$memcached_key")},
                 {"memc_pass", ngx_string("$memc_key")},
                 {"memc_pass", ngx_string("$memc_cmd")}};
    auto* conf = static_cast<LocConf*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_slab_cache_module));
    const Bytes directive = view(static_cast<ngx_str_t*>(cf->args->elts)[0]);
    for (const auto& row : kRows) {
        if (row.directive == directive && !note_input(cf, conf, row.variable, Captures::kOfLocation)) {
            return false;
        }
    }
    return true;
}

bool note_inputs(ngx_conf_t* cf) noexcept {
    auto* conf = static_cast<LocConf*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_slab_cache_module));
    auto* word = static_cast<ngx_str_t*>(cf->args->elts);
    if (base::ends_with(view(word[0]), "_param") && !names_script(view(word[1]))) {
        return true;
    }
    const bool is_of_answer =
        base::starts_with(view(word[0]), "proxy_redirect") || base::starts_with(view(word[0]), "proxy_cookie_");
    add_written(cf, conf);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (!note_input(cf, conf, word[i], is_of_answer ? Captures::kOfDirective : Captures::kOfLocation)) {
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
            conf->sender = prev->sender;
        }
    }
    if (conf->written != 0) {
        conf->identity = add_number(conf->identity, conf->written);
        conf->shared_identity = add_number(conf->shared_identity, conf->written);
    }
    if (!inherit_inputs(cf, prev, conf) || !add_sent_inputs(cf, conf)) {
        return false;
    }
    if (conf->identity < kReservedIdentities) {
        conf->identity += kReservedIdentities;
    }
    conf->identity_varies = conf->inputs != nullptr || clcf->root_lengths != nullptr;
    return true;
}

}  // namespace slab_cache::ngx
