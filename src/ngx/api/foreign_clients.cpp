#include "ngx/glue/ngx.h"

#include "ngx/api/foreign_clients.h"

#include <jansson.h>

#include "http/tags.h"
#include "ngx/api/api.h"
#include "ngx/api/purge_call.h"
#include "ngx/glue/reply.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxKeys = 256;  // as Fastly has it

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
    if (seq == 0) {
        return send_not_purged(call->request);
    }
    return send_json(call->request, NGX_HTTP_OK,
                     json_pack("{s:s, s:o}", "status", "ok", "id", purge_id(call->zone, seq)));
}

ngx_int_t bad_keys(Call* call, Bytes detail) noexcept {
    return send_problem(call->request, NGX_HTTP_BAD_REQUEST, "invalid purge request", detail);
}

struct Keys {
    Selection* to;
    json_t* answer;
};

bool put_key(Bytes key, void* data) noexcept {
    auto* keys = static_cast<Keys*>(data);
    Zone* zone = keys->to->zone;
    char name[1025];
    if (key.size() >= sizeof(name) || !cache::select_tag(keys->to, key)) {
        return false;
    }
    ngx_memcpy(name, key.data(), key.size());
    name[key.size()] = '\0';
    return json_object_set_new_nocheck(keys->answer, name, purge_id(zone, zone->store.purge_seq() + 1)) == 0;
}

bool put_field(Keys* keys, Bytes field) noexcept {
    http::TagReader reader(field);
    Bytes key;
    while (reader.next(&key)) {
        if (!put_key(key, keys)) {
            return false;
        }
    }
    return true;
}

ngx_int_t purge_keys(Call* call, Selection* to) noexcept {
    Keys keys{to, json_object()};
    const Bytes field = field_of(call->request, "Surrogate-Key");
    const bool ok = field.empty() ? cache::read_surrogate_keys(call->body, put_key, &keys) : put_field(&keys, field);
    if (!ok || cache::is_empty(*to)) {
        json_decref(keys.answer);
        return bad_keys(call, "name up to 256 keys in Surrogate-Key, or in {\"surrogate_keys\":[…]}");
    }
    if (purge_selection(to) == 0) {
        json_decref(keys.answer);
        return send_not_purged(call->request);
    }
    return send_json(call->request, NGX_HTTP_OK, keys.answer);
}

// ---- Cloudflare ----------------------------------------------------------------------------------------------

ngx_int_t cloudflare_error(Call* call, Bytes problem) noexcept {
    return send_json(call->request, NGX_HTTP_BAD_REQUEST,
                     json_pack("{s:b, s:[{s:i, s:o}], s:[], s:n}", "success", 0, "errors", "code", 1012, "message",
                               json_text(problem), "messages", "result"));
}

ngx_int_t cloudflare_purge(Call* call, bool soft) noexcept {
    Selection selection;
    cache::Problem problem;
    if (!read_purge(call, &selection, &problem)) {
        return cloudflare_error(call, problem.view());
    }
    selection.soft = selection.soft || soft;
    if (purge_selection(&selection) == 0) {
        return send_not_purged(call->request);
    }
    return send_json(call->request, NGX_HTTP_OK,
                     json_pack("{s:b, s:[], s:[], s:{s:o}}", "success", 1, "errors", "messages", "result", "id",
                               json_text(view(call->zone->name))));
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
    if (!cache::select_tag(&selection, call->rest)) {
        return bad_keys(call, "no key");
    }
    return send_status(call, purge_selection(&selection));
}

ngx_int_t purge_all_as_fastly(Call* call) noexcept {
    Selection selection;
    if (!init_selection(&selection, call->request, call->zone, 1)) {
        return NGX_ERROR;
    }
    cache::select_all(&selection);
    return send_status(call, purge_selection(&selection));
}

ngx_int_t purge_as_cloudflare(Call* call) noexcept { return cloudflare_purge(call, false); }

// What Cloudflare calls invalidating: the same names, but what they stand for gets stale.
ngx_int_t invalidate_as_cloudflare(Call* call) noexcept { return cloudflare_purge(call, true); }

}  // namespace slab_cache::ngx
