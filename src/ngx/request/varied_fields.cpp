#include "ngx/glue/ngx.h"

#include "ngx/request/varied_fields.h"

#include "http/syntax.h"
#include "ngx/conf/sent_fields.h"
#include "ngx/request/cache_key.h"

namespace slab_cache::ngx {
namespace {

bool counts(const SentField& field, Bytes spec) noexcept {
    return !field.name.empty() && !base::equal_nocase(field.name, "Accept-Encoding") &&
           (spec == kAnySpec || http::list_has(spec, field.name));
}

size_t without(http::Field* lines, size_t n, Bytes name) noexcept {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!base::equal_nocase(lines[i].name, name)) {
            lines[kept++] = lines[i];
        }
    }
    return kept;
}

}  // namespace

http::Fields varied_fields(ngx_http_request_t* r, const LocConf* conf, Bytes spec) noexcept {
    const ngx_array_t* sent = sent_fields(conf);
    if (sent == nullptr) {
        return request_fields(r);
    }
    http::Field* lines = nullptr;
    http::Fields fields = list_fields(r->pool, &r->headers_in.headers, sent->nelts, &lines);
    const auto* field = static_cast<const SentField*>(sent->elts);
    for (ngx_uint_t i = 0; lines != nullptr && i < sent->nelts; i++) {
        if (counts(field[i], spec)) {
            fields.size = without(lines, fields.size, field[i].name);
        }
    }
    for (ngx_uint_t i = 0; lines != nullptr && i < sent->nelts; i++) {
        ngx_str_t value;
        if (!counts(field[i], spec)) {
            continue;
        }
        auto* made = const_cast<ngx_http_complex_value_t*>(&field[i].value);
        if (ngx_http_complex_value(r, made, &value) != NGX_OK) {
            ngx_str_set(&value, "\0");  // no request has it
        }
        if (value.len != 0) {
            lines[fields.size++] = {field[i].name, view(value)};
            fields.names |= http::name_bit(field[i].name);
        }
    }
    return fields;
}

}  // namespace slab_cache::ngx
