#include "ngx/ngx.h"

#include "ngx/api_clients.h"

#include <jansson.h>

#include "http/tags.h"
#include "ngx/api.h"
#include "ngx/api_purge.h"
#include "ngx/reply.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxKeys = 256;   // as Fastly has it

// ---- Fastly --------------------------------------------------------------------------------------------------

// "{zone}-{counter}": clients log it, nobody reads it.
json_t* purge_id(Zone* zone, uint64_t seq) noexcept {
    char text[160];
    const size_t name = zone->name.len < 120 ? zone->name.len : 120;
    ngx_memcpy(text, zone->name.data, name);
    u_char* end = ngx_sprintf(reinterpret_cast<u_char*>(text + name), "-%uL", seq);
    return json_text({text, static_cast<size_t>(reinterpret_cast<char*>(end) - text)});
}

Bytes field_of(ngx_http_request_t* r, Bytes name) noexcept {
    Bytes value;
    each_header(r->headers_in.headers, [&](ngx_table_elt_t& h) {
        value = base::equal_nocase(view(h.key), name) ? view(h.value) : value;
        return true;
    });
    return value;
}

ngx_int_t send_status(Call* call, uint64_t seq) noexcept {
    return send_json(call->request, NGX_HTTP_OK,
                     json_pack("{s:s, s:o}", "status", "ok", "id", purge_id(call->zone, seq)));
}

ngx_int_t bad_keys(Call* call, Bytes detail) noexcept {
    return send_problem(call->request, NGX_HTTP_BAD_REQUEST, "invalid purge request", detail);
}

bool put_key(Selection* to, json_t* answer, Bytes key) noexcept {
    char name[1025];
    if (key.size() >= sizeof(name) || !select_tag(to, key)) {
        return false;
    }
    ngx_memcpy(name, key.data(), key.size());
    name[key.size()] = '\0';
    return json_object_set_new_nocheck(answer, name, purge_id(to->zone, to->zone->store.purge_seq() + 1)) == 0;
}

bool put_field(Selection* to, json_t* answer, Bytes field) noexcept {
    http::TagReader reader(field);
    Bytes key;
    while (reader.next(&key)) {
        if (!put_key(to, answer, key)) {
            return false;
        }
    }
    return true;
}

// {"surrogate_keys": ["a", "b"]}
bool put_body(Selection* to, json_t* answer, Bytes body) noexcept {
    json_t* root = json_loadb(body.data(), body.size(), JSON_REJECT_DUPLICATES, nullptr);
    json_t* keys = json_object_get(root, "surrogate_keys");
    bool ok = json_object_size(root) == 1 && json_is_array(keys);
    size_t index = 0;
    json_t* key = nullptr;
    json_array_foreach(keys, index, key) {
        ok = ok && json_is_string(key)
             && put_key(to, answer, {json_string_value(key), json_string_length(key)});
    }
    json_decref(root);
    return ok;
}

ngx_int_t purge_keys(Call* call, Selection* to) noexcept {
    json_t* answer = json_object();
    const Bytes field = field_of(call->request, "Surrogate-Key");
    const bool ok = field.empty() ? put_body(to, answer, call->body) : put_field(to, answer, field);
    if (!ok || is_empty(*to)) {
        json_decref(answer);
        return bad_keys(call, "name up to 256 keys in Surrogate-Key, or in {\"surrogate_keys\":[…]}");
    }
    (void) purge_selection(to);
    return send_json(call->request, NGX_HTTP_OK, answer);
}

// ---- Cloudflare ----------------------------------------------------------------------------------------------

ngx_int_t cloudflare_error(Call* call, const char* problem) noexcept {
    return send_json(call->request, NGX_HTTP_BAD_REQUEST,
                     json_pack("{s:b, s:[{s:i, s:o}], s:[], s:n}", "success", 0, "errors", "code", 1012,
                               "message", json_text(problem), "messages", "result"));
}

}  // namespace

ngx_int_t purge_as_fastly(Call* call) noexcept {
    Selection selection;
    if (!init_selection(&selection, call->request, call->zone, kMaxKeys)) {
        return NGX_ERROR;
    }
    selection.soft = field_of(call->request, "Fastly-Soft-Purge") == "1";
    if (call->rest.empty()) {
        return purge_keys(call, &selection);
    }
    if (!select_tag(&selection, call->rest)) {
        return bad_keys(call, "no key");
    }
    return send_status(call, purge_selection(&selection));
}

ngx_int_t purge_all_as_fastly(Call* call) noexcept {
    Selection selection;
    if (!init_selection(&selection, call->request, call->zone, 1)) {
        return NGX_ERROR;
    }
    select_all(&selection);
    return send_status(call, purge_selection(&selection));
}

ngx_int_t purge_as_cloudflare(Call* call) noexcept {
    Selection selection;
    auto* problem = static_cast<char*>(ngx_pnalloc(call->request->pool, kProblemBytes));
    if (problem == nullptr) {
        return NGX_ERROR;
    }
    if (!read_purge(call, &selection, problem)) {
        return cloudflare_error(call, problem);
    }
    (void) purge_selection(&selection);
    return send_json(call->request, NGX_HTTP_OK,
                     json_pack("{s:b, s:[], s:[], s:{s:o}}", "success", 1, "errors", "messages", "result",
                               "id", json_text(view(call->zone->name))));
}

}  // namespace slab_cache::ngx
