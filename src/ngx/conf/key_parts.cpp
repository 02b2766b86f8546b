// slab_cache_key, read so that what must not be shown is known to be so.
#include "ngx/glue/ngx.h"

#include "cache/key.h"
#include "http/syntax.h"
#include "ngx/conf/conf.h"
#include "ngx/conf/directives.h"

namespace slab_cache::ngx {
namespace {

// What a URL, this server or the configuration say. All other variables may hold what a client is known by, also by way of
// map, set, if or auth_request_set: they are hidden.
constexpr Bytes kShown[] = {
    "args",        "document_root", "document_uri",  "fastcgi_path_info", "fastcgi_script_name", "host",
    "hostname",    "http_host",     "https",         "is_args",           "nginx_version",       "proxy_host",
    "proxy_port",  "query_string",  "realpath_root", "request_filename",  "request_method",      "request_uri",
    "scheme",      "server_addr",   "server_name",   "server_port",       "server_protocol",     "slab_cache_uri",
    "slice_range", "uri",
};
constexpr Bytes kShownPrefix = "arg_";

bool is_shown(Bytes name) noexcept {
    for (Bytes shown : kShown) {
        if (shown == name) {
            return true;
        }
    }
    return base::starts_with(name, kShownPrefix);
}

bool is_name_char(char c) noexcept { return http::is_alpha(c) || http::is_digit(c) || c == '_'; }

// The variable that `text` begins with, and how long it is written; an empty name where nginx would complain.
Bytes name_at(Bytes text, size_t* written) noexcept {
    const bool braces = text.size() > 1 && text[1] == '{';
    const size_t from = braces ? 2 : 1;
    size_t end = from;
    while (end < text.size() && is_name_char(text[end]) && (braces || !http::is_digit(text[from]) || end == from)) {
        end++;
    }
    if (braces && (end == text.size() || text[end] != '}')) {
        end = from;
    }
    *written = end + (braces ? 1 : 0);
    return base::slice(text, from, end - from);
}

bool add_part(ngx_conf_t* cf, ngx_array_t* parts, Bytes text, uint16_t marks) noexcept {
    auto* part = static_cast<KeyPart*>(ngx_array_push(parts));
    ngx_str_t value;
    if (part == nullptr || !pool_copy(cf->pool, to_str(text), &value)) {
        return false;
    }
    part->marks = marks;
    ngx_http_compile_complex_value_t ccv;
    ngx_memzero(&ccv, sizeof(ccv));
    ccv.cf = cf;
    ccv.value = &value;
    ccv.complex_value = &part->value;
    return ngx_http_compile_complex_value(&ccv) == NGX_OK;
}

// Cuts a field at the variables that are hidden.
bool add_field(ngx_conf_t* cf, ngx_array_t* parts, Bytes text) noexcept {
    uint16_t goes_on = 0;
    size_t from = 0;
    size_t at = 0;
    while (at < text.size()) {
        size_t written = 1;
        const Bytes name = text[at] == '$' ? name_at(base::slice(text, at), &written) : Bytes{};
        if (!name.empty() && !is_shown(name)) {
            if (at != from) {
                if (!add_part(cf, parts, base::slice(text, from, at - from), goes_on)) {
                    return false;
                }
                goes_on = cache::kPartGoesOn;
            }
            if (!add_part(cf, parts, base::slice(text, at, written), goes_on | cache::kPartHidden)) {
                return false;
            }
            goes_on = cache::kPartGoesOn;
            from = at + written;
        }
        at += written;
    }
    return (from == text.size() && goes_on != 0) || add_part(cf, parts, base::slice(text, from), goes_on);
}

template <class Visit>
void each_name_in(Bytes text, Visit visit) noexcept {
    for (size_t at = text.find('$'); at != Bytes::npos; at = text.find('$', at + 1)) {
        size_t written = 0;
        visit(name_at(base::slice(text, at), &written));
    }
}

template <class Visit>
void each_name(const ngx_array_t* key, Visit visit) noexcept {
    const auto* part = key != nullptr ? static_cast<const KeyPart*>(key->elts) : nullptr;
    for (ngx_uint_t i = 0; part != nullptr && i < key->nelts; i++) {
        each_name_in(view(part[i].value.value), visit);
    }
}

}  // namespace

bool text_names_variable(Bytes text, Bytes name) noexcept {
    bool named = false;
    each_name_in(text, [&](Bytes n) { named = named || n == name; });
    return named;
}

bool names_variable(const ngx_array_t* key, Bytes name) noexcept {
    bool named = false;
    each_name(key, [&](Bytes n) { named = named || n == name; });
    return named;
}

bool is_known_for_get(const ngx_array_t* key) noexcept {
    bool known = key != nullptr;
    each_name(key, [&](Bytes n) {
        const bool is_field = (base::starts_with(n, "http_") && !base::starts_with(n, "http_content_")) ||
                              base::starts_with(n, "cookie_");
        known = known && (is_shown(n) || is_field || n == "request_body");
    });
    return known;
}

char* set_key(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->key != NGX_CONF_UNSET_PTR) {
        return const_cast<char*>("is duplicate");
    }
    lcf->key = ngx_array_create(cf->pool, cf->args->nelts, sizeof(KeyPart));
    auto* value = static_cast<ngx_str_t*>(cf->args->elts);
    bool ok = lcf->key != nullptr;
    for (ngx_uint_t i = 1; i < cf->args->nelts && ok; i++) {
        ok = add_field(cf, lcf->key, view(value[i]));
    }
    return ok ? NGX_CONF_OK : static_cast<char*>(NGX_CONF_ERROR);
}

}  // namespace slab_cache::ngx
