#include "ngx/glue/ngx.h"

#include "ngx/conf/sent_fields.h"

namespace slab_cache::ngx {
namespace {

struct Sender {
    Bytes pass;
    Bytes sets;
    bool is_param;
};

constexpr Sender kRows[kSenders] = {{"proxy_pass", "proxy_set_header", false},
                                    {"grpc_pass", "grpc_set_header", false},
                                    {"fastcgi_pass", "fastcgi_param", true},
                                    {"uwsgi_pass", "uwsgi_param", true},
                                    {"scgi_pass", "scgi_param", true}};

LocConf* loc_conf_of(ngx_conf_t* cf) noexcept {
    return static_cast<LocConf*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_slab_cache_module));
}

// HTTP_X_DEVICE is the field X-Device; another parameter is none.
bool field_of_param(ngx_pool_t* pool, Bytes param, Bytes* field) noexcept {
    constexpr Bytes kPrefix = "HTTP_";
    *field = {};
    if (!base::starts_with(param, kPrefix)) {
        return true;
    }
    const Bytes rest = base::slice(param, kPrefix.size());
    auto* name = static_cast<char*>(ngx_pnalloc(pool, rest.size() + 1));
    if (name == nullptr) {
        return false;
    }
    for (size_t i = 0; i < rest.size(); i++) {
        name[i] = rest[i] == '_' ? '-' : rest[i];
    }
    *field = {name, rest.size()};
    return true;
}

bool add_field(ngx_conf_t* cf, Bytes name, ngx_str_t value, ngx_array_t** list) noexcept {
    if (*list == nullptr) {
        *list = ngx_array_create(cf->pool, 4, sizeof(SentField));
    }
    auto* field = *list != nullptr ? static_cast<SentField*>(ngx_array_push(*list)) : nullptr;
    if (field == nullptr) {
        return false;
    }
    field->name = name;
    ngx_memzero(&field->value, sizeof(field->value));
    ngx_http_compile_complex_value_t ccv;
    ngx_memzero(&ccv, sizeof(ccv));
    ccv.cf = cf;
    ccv.value = &value;
    ccv.complex_value = &field->value;
    return ngx_http_compile_complex_value(&ccv) == NGX_OK;
}

}  // namespace

bool note_sent_field(ngx_conf_t* cf) noexcept {
    const auto* word = static_cast<const ngx_str_t*>(cf->args->elts);
    LocConf* conf = loc_conf_of(cf);
    for (uint32_t i = 0; i < kSenders; i++) {
        if (view(word[0]) == kRows[i].sets && cf->args->nelts > 2) {
            conf->sends[i] = true;
            Bytes name = view(word[1]);
            return (!kRows[i].is_param || field_of_param(cf->pool, name, &name)) &&
                   add_field(cf, name, word[2], &conf->sent[i]);
        }
    }
    return true;
}

void note_sender(ngx_conf_t* cf) noexcept {
    const auto* word = static_cast<const ngx_str_t*>(cf->args->elts);
    for (uint32_t i = 0; i < kSenders; i++) {
        if (view(word[0]) == kRows[i].pass) {
            loc_conf_of(cf)->sender = static_cast<uint8_t>(i + 1);
        }
    }
}

void merge_sent_fields(const LocConf* prev, LocConf* conf) noexcept {
    for (uint32_t i = 0; i < kSenders; i++) {
        if (!conf->sends[i]) {
            conf->sends[i] = prev->sends[i];
            conf->sent[i] = prev->sent[i];
        }
    }
}

}  // namespace slab_cache::ngx
