#include "ngx/glue/ngx.h"

#include "ngx/conf/slice_directive.h"

#include "ngx/conf/directives.h"

namespace slab_cache::ngx {
namespace {

// Each with its own inheritance: a level that has one of a kind takes none of that kind from outside.
constexpr Bytes kShaping[] = {"proxy_set_header", "grpc_set_header", "fastcgi_param", "uwsgi_param", "scgi_param"};

bool names_slice_range(const ngx_conf_t* cf) noexcept {
    const auto* word = static_cast<const ngx_str_t*>(cf->args->elts);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (text_names_variable(view(word[i]), "slice_range")) {
            return true;
        }
    }
    return false;
}

LocConf* loc_conf_of(ngx_conf_t* cf) noexcept {
    return static_cast<LocConf*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_slab_cache_module));
}

}  // namespace

void note_slice(ngx_conf_t* cf) noexcept {
    auto* word = static_cast<ngx_str_t*>(cf->args->elts);
    const ssize_t size = ngx_parse_size(&word[1]);  // its setter took it
    loc_conf_of(cf)->slice_size = size > 0 ? static_cast<size_t>(size) : 0;
}

bool shapes_origin_request(Bytes directive) noexcept {
    for (Bytes name : kShaping) {
        if (name == directive) {
            return true;
        }
    }
    return false;
}

void note_origin_request(ngx_conf_t* cf, Bytes directive) noexcept {
    LocConf* conf = loc_conf_of(cf);
    uint8_t bit = 1;
    for (Bytes name : kShaping) {
        if (name == directive) {
            conf->shaped |= bit;
            conf->shaped_by_slice |= names_slice_range(cf) ? bit : 0;
        }
        bit = static_cast<uint8_t>(bit << 1);
    }
}

void merge_slice(const LocConf* prev, LocConf* conf) noexcept {
    ngx_conf_merge_size_value(conf->slice_size, prev->slice_size, 0);
    conf->shaped_by_slice |= static_cast<uint8_t>(prev->shaped_by_slice & ~conf->shaped);
    conf->shaped |= prev->shaped;
    conf->is_sliced = conf->slice_size != 0 && (conf->shaped_by_slice != 0 || names_variable(conf->key, "slice_range"));
}

}  // namespace slab_cache::ngx
