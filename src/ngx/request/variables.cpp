#include "ngx/glue/ngx.h"

#include "ngx/request/variables.h"

#include "cache/key.h"
#include "ngx/request/ctx.h"
#include "ngx/request/cache_key.h"

namespace slab_cache::ngx {
namespace {

using Value = ngx_http_variable_value_t;

ngx_int_t set_text(Value* v, Bytes text) noexcept {
    if (text.empty()) {
        v->not_found = 1;
        return NGX_OK;
    }
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = static_cast<unsigned>(text.size());
    v->data = mutable_data(text);
    return NGX_OK;
}

ngx_int_t set_number(ngx_http_request_t* r, Value* v, int64_t n) noexcept {
    auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, NGX_INT64_LEN));
    if (p == nullptr) {
        return NGX_ERROR;
    }
    const auto len = static_cast<size_t>(ngx_sprintf(p, "%L", n) - p);
    return set_text(v, {reinterpret_cast<char*>(p), len});
}

// Milliseconds as nginx's own times: "0.005".
ngx_int_t set_seconds(ngx_http_request_t* r, Value* v, uint64_t ms) noexcept {
    auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, NGX_INT64_LEN + 4));
    if (p == nullptr) {
        return NGX_ERROR;
    }
    const auto len = static_cast<size_t>(ngx_sprintf(p, "%uL.%03uL", ms / 1000, ms % 1000) - p);
    return set_text(v, {reinterpret_cast<char*>(p), len});
}

ngx_int_t get_uri(ngx_http_request_t* r, Value* v, uintptr_t) noexcept {
    Ctx* ctx = get_ctx(r);
    if (ctx != nullptr && !ctx->url.uri.empty()) {
        return set_text(v, ctx->url.uri);
    }
    Bytes uri;
    return canonical_uri(r, loc_conf<LocConf>(r), &uri) ? set_text(v, uri) : NGX_ERROR;
}

ngx_int_t get_status(ngx_http_request_t* r, Value* v, uintptr_t) noexcept {
    Ctx* ctx = find_ctx(r);
    return set_text(v, ctx != nullptr ? status_word(ctx->status) : Bytes{});
}

ngx_int_t get_reason(ngx_http_request_t* r, Value* v, uintptr_t) noexcept {
    Ctx* ctx = find_ctx(r);
    return set_text(v, ctx != nullptr ? http::reason_word(ctx->reason) : Bytes{});
}

ngx_int_t get_age(ngx_http_request_t* r, Value* v, uintptr_t) noexcept {
    Ctx* ctx = find_ctx(r);
    return ctx != nullptr && ctx->age >= 0 ? set_number(r, v, ctx->age) : set_text(v, {});
}

ngx_int_t get_ttl(ngx_http_request_t* r, Value* v, uintptr_t) noexcept {
    Ctx* ctx = find_ctx(r);
    return ctx != nullptr && has_object(ctx) ? set_number(r, v, ctx->ttl) : set_text(v, {});
}

ngx_int_t get_hits(ngx_http_request_t* r, Value* v, uintptr_t) noexcept {
    Ctx* ctx = find_ctx(r);
    if (ctx == nullptr || !has_object(ctx)) {
        return set_text(v, {});
    }
    return set_number(r, v, ctx->pin ? shm::Store::hits(ctx->pin) : ctx->hits);
}

ngx_int_t get_key(ngx_http_request_t* r, Value* v, uintptr_t) noexcept {
    Ctx* ctx = find_ctx(r);
    if (ctx == nullptr || ctx->key.empty()) {
        return set_text(v, {});
    }
    const uint8_t* secret = ctx->zone->store.secret();
    const size_t size = cache::printable_key(ctx->key, secret, nullptr, 0);
    auto* p = static_cast<char*>(ngx_pnalloc(r->pool, size));
    if (p == nullptr) {
        return NGX_ERROR;
    }
    return set_text(v, {p, cache::printable_key(ctx->key, secret, p, size)});
}

ngx_int_t get_wait_time(ngx_http_request_t* r, Value* v, uintptr_t) noexcept {
    Ctx* ctx = find_ctx(r);
    return ctx != nullptr && ctx->wait.collapsed ? set_seconds(r, v, ctx->wait.waited_ms) : set_text(v, {});
}

ngx_int_t get_saved_time(ngx_http_request_t* r, Value* v, uintptr_t) noexcept {
    Ctx* ctx = find_ctx(r);
    const bool saved = ctx != nullptr && ctx->saved_us != 0;
    return saved ? set_seconds(r, v, ctx->saved_us / 1000) : set_text(v, {});
}

// ---- $upstream_http_…, $upstream_cookie_… ---------------------------------------------------------------------------
// The client's own request never has an upstream: its fill had, or some fill long ago. So what nginx's handler cannot
// find there is looked for in the stored header, or in that which is relayed.

constexpr Bytes kUpstreamHttp = "upstream_http_";
ngx_http_get_variable_pt upstream_header;  // nginx's handler, the same in every cycle

bool is_named(Bytes field, Bytes suffix) noexcept {
    if (field.size() != suffix.size()) {
        return false;
    }
    for (size_t i = 0; i < field.size(); i++) {
        const char c = field[i] == '-' ? '_' : base::lower(field[i]);
        if (c != suffix[i]) {
            return false;
        }
    }
    return true;
}

// Calls fn(value) for each line of that name that was received, in order, until it returns false.
template <class Fn>
void each_received(ngx_http_request_t* r, Ctx* ctx, Bytes suffix, Fn fn) noexcept {
    for (size_t i = 0; i < ctx->from_fill.own_count; i++) {
        if (is_named(ctx->from_fill.own_fields[i].name, suffix) && !fn(ctx->from_fill.own_fields[i].value)) {
            return;
        }
    }
    const cache::StoredResponse* stored = ctx->pin                           ? stored_response(ctx)
                                          : ctx->object == ObjectAt::kCopied ? &ctx->stored
                                                                             : nullptr;
    if (stored != nullptr) {
        Bytes rest = stored->fields;
        cache::StoredField field;
        while (cache::next_field(&rest, &field)) {
            if (is_named(field.lowcase, suffix) && !fn(field.value)) {
                return;
            }
        }
    } else if (ctx->from_fill.redirect != nullptr) {
        for (const http::Field& field : ctx->from_fill.redirect->fields) {
            if (is_named(field.name, suffix) && !fn(field.value)) {
                return;
            }
        }
    } else if (ctx->from_fill.relay != nullptr) {
        each_header(r->headers_out.headers, [&](ngx_table_elt_t& h) {
            return h.hash == 0 || !is_named(view(h.key), suffix) || fn(view(h.value));
        });
    }
}

// Several lines: the first one, or all with commas between, as this nginx has it.
bool find_received(ngx_http_request_t* r, Ctx* ctx, Bytes suffix, Bytes* value) noexcept {
    size_t lines = 0;
    size_t size = 0;
    each_received(r, ctx, suffix, [&](Bytes line) {
        *value = lines == 0 ? line : *value;
        lines++;
        size += line.size() + 2;
        return SLAB_NGX_LINKED_HEADERS != 0;
    });
    if (lines < 2) {
        return true;
    }
    auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, size));
    if (p == nullptr) {
        return false;
    }
    auto* start = reinterpret_cast<char*>(p);
    each_received(r, ctx, suffix, [&](Bytes line) {
        p = ngx_cpymem(p, line.data(), line.size());
        p = ngx_cpymem(p, ", ", 2);
        return true;
    });
    *value = {start, size - 2};
    return true;
}

ngx_int_t get_upstream_header(ngx_http_request_t* r, Value* v, uintptr_t data) noexcept {
    Ctx* ctx = r->upstream == nullptr ? find_ctx(r) : nullptr;
    if (ctx == nullptr) {
        return upstream_header(r, v, data);
    }
    const Bytes name = view(*reinterpret_cast<ngx_str_t*>(data));
    Bytes value;
    return find_received(r, ctx, base::slice(name, kUpstreamHttp.size()), &value) ? set_text(v, value) : NGX_ERROR;
}

// `name=value; …`, blanks around the "=" allowed; names compare without regard to case, as nginx's do.
bool cookie_value(Bytes line, Bytes name, Bytes* value) noexcept {
    if (line.size() <= name.size() || !base::equal_nocase(base::slice(line, 0, name.size()), name)) {
        return false;
    }
    line.remove_prefix(name.size());
    const size_t sign = line.find_first_not_of(' ');
    if (sign == Bytes::npos || line[sign] != '=') {
        return false;
    }
    line.remove_prefix(sign + 1);
    const size_t start = line.find_first_not_of(' ');
    line = start == Bytes::npos ? Bytes{} : base::slice(line, start);
    *value = base::slice(line, 0, line.find(';'));
    return true;
}

constexpr Bytes kUpstreamCookie = "upstream_cookie_";
ngx_http_get_variable_pt upstream_cookie;  // nginx's handler, the same in every cycle

ngx_int_t get_upstream_cookie(ngx_http_request_t* r, Value* v, uintptr_t data) noexcept {
    Ctx* ctx = r->upstream == nullptr ? find_ctx(r) : nullptr;
    if (ctx == nullptr) {
        return upstream_cookie(r, v, data);
    }
    const Bytes name = base::slice(view(*reinterpret_cast<ngx_str_t*>(data)), kUpstreamCookie.size());
    Bytes value;
    each_received(r, ctx, "set_cookie", [&](Bytes line) { return !cookie_value(line, name, &value); });
    return set_text(v, value);
}

ngx_http_variable_t variables[] = {
    {ngx_string("slab_cache_uri"), nullptr, get_uri, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("slab_cache_status"), nullptr, get_status, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("slab_cache_reason"), nullptr, get_reason, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("slab_cache_age"), nullptr, get_age, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("slab_cache_ttl"), nullptr, get_ttl, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("slab_cache_hits"), nullptr, get_hits, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("slab_cache_key"), nullptr, get_key, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("slab_cache_wait_time"), nullptr, get_wait_time, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
    {ngx_string("slab_cache_saved_time"), nullptr, get_saved_time, 0, NGX_HTTP_VAR_NOCACHEABLE, 0},
};

}  // namespace

ngx_int_t add_variables(ngx_conf_t* cf) noexcept {
    for (ngx_http_variable_t& row : variables) {
        ngx_http_variable_t* v = ngx_http_add_variable(cf, &row.name, row.flags);
        if (v == nullptr) {
            return NGX_ERROR;
        }
        v->get_handler = row.get_handler;
        v->data = row.data;
    }
    return NGX_OK;
}

void look_behind_upstream_variables(ngx_cycle_t* cycle) noexcept {
    auto* cmcf =
        static_cast<ngx_http_core_main_conf_t*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module));
    auto* v = static_cast<ngx_http_variable_t*>(cmcf->variables.elts);
    for (ngx_uint_t i = 0; i < cmcf->variables.nelts; i++) {
        // A variable of that name which `set` made has other data, and is left alone.
        if (v[i].data != reinterpret_cast<uintptr_t>(&v[i].name)) {
            continue;
        }
        if (base::starts_with(view(v[i].name), kUpstreamHttp)) {
            upstream_header = v[i].get_handler;
            v[i].get_handler = get_upstream_header;
        } else if (base::starts_with(view(v[i].name), kUpstreamCookie)) {
            upstream_cookie = v[i].get_handler;
            v[i].get_handler = get_upstream_cookie;
        }
    }
}

}  // namespace slab_cache::ngx
