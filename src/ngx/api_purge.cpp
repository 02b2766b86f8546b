#include "ngx/ngx.h"

#include "ngx/api_purge.h"

#include <jansson.h>

#include "ngx/api.h"
#include "ngx/reply.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxItems = 100000;

struct Reading {
    Selection* to;
    char* problem;
};

bool complain(Reading* p, const char* format, const char* name, size_t index) noexcept {
    u_char* end = ngx_snprintf(reinterpret_cast<u_char*>(p->problem), kProblemBytes - 1, format, name, index);
    *end = '\0';
    return false;
}

struct ListField {
    const char* name;
    bool (*add)(Selection*, Bytes);
};

constexpr ListField kLists[] = {
    {"urls", select_url},   {"files", select_url}, {"prefixes", select_prefix},
    {"hosts", select_host}, {"tags", select_tag},  {"globs", select_url},
};

bool read_list(Reading* p, const ListField& field, json_t* value) noexcept {
    if (!json_is_array(value)) {
        return complain(p, "\"%s\" must be a list of strings", field.name, 0);
    }
    size_t index = 0;
    json_t* item = nullptr;
    json_array_foreach(value, index, item) {
        // Cloudflare also writes files as {"url": …}.
        json_t* text = json_is_object(item) ? json_object_get(item, "url") : item;
        if (!json_is_string(text)
            || !field.add(p->to, {json_string_value(text), json_string_length(text)})) {
            return complain(p, "\"%s\"[%uz] is not valid", field.name, index);
        }
    }
    return true;
}

bool read_field(Reading* p, const char* key, json_t* value) noexcept {
    for (const ListField& field : kLists) {
        if (ngx_strcmp(field.name, key) == 0) {
            return read_list(p, field, value);
        }
    }
    const Bytes name(key);
    if (name == "all" || name == "purge_everything") {
        if (json_is_true(value)) {
            select_all(p->to);
        }
        return json_is_boolean(value) || complain(p, "\"%s\" must be true or false", key, 0);
    }
    if (name == "mode") {
        const char* mode = json_string_value(value);
        p->to->soft = mode != nullptr && Bytes(mode) == "soft";
        return (mode != nullptr && (p->to->soft || Bytes(mode) == "hard"))
               || complain(p, "\"%s\" must be \"hard\" or \"soft\"", key, 0);
    }
    return complain(p, "unknown field \"%s\"", key, 0);
}

size_t count_items(json_t* root) noexcept {
    size_t n = 0;
    const char* key = nullptr;
    json_t* value = nullptr;
    json_object_foreach(root, key, value) { n += json_array_size(value); }
    return n;
}

bool read_document(Call* call, Reading* p, json_t* root) noexcept {
    if (!json_is_object(root)) {
        return complain(p, "the body must be %s", "a JSON object", 0);
    }
    const size_t items = count_items(root);
    if (items > kMaxItems) {
        return complain(p, "too many items in %s", "one request", 0);
    }
    if (!init_selection(p->to, call->request, call->zone, items)) {
        return complain(p, "out of %s", "memory", 0);
    }
    const char* key = nullptr;
    json_t* value = nullptr;
    json_object_foreach(root, key, value) {
        if (!read_field(p, key, value)) {
            return false;
        }
    }
    return !is_empty(*p->to) || complain(p, "nothing to purge in %s", "the body", 0);
}

}  // namespace

bool read_purge(Call* call, Selection* to, char* problem) noexcept {
    Reading reading{to, problem};
    json_error_t error;
    json_t* root = json_loadb(call->body.data(), call->body.size(), JSON_REJECT_DUPLICATES, &error);
    if (root == nullptr) {
        return complain(&reading, "not JSON: %s, at byte %uz", error.text,
                        error.position > 0 ? static_cast<size_t>(error.position) : 0);
    }
    const bool ok = read_document(call, &reading, root);
    json_decref(root);
    return ok;
}

ngx_int_t purge_by_json(Call* call) noexcept {
    Selection selection;
    auto* problem = static_cast<char*>(ngx_pnalloc(call->request->pool, kProblemBytes));
    if (problem == nullptr) {
        return NGX_ERROR;
    }
    return read_purge(call, &selection, problem)
               ? purge_and_answer(&selection)
               : send_problem(call->request, NGX_HTTP_BAD_REQUEST, "invalid purge request", problem);
}

}  // namespace slab_cache::ngx
