#include "ngx/ngx.h"

#include "ngx/api_purge.h"

#include <jansson.h>

#include "cache/key.h"
#include "ngx/api.h"
#include "ngx/counters.h"
#include "ngx/reply.h"
#include "ngx/tags.h"
#include "ngx/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kMaxBody = 1024 * 1024;
constexpr size_t kMaxItems = 100000;

struct PurgeRequest {
    Zone* zone;
    ngx_pool_t* pool;
    uint64_t* selector;
    uint32_t count;
    bool all;
    bool soft;
    char problem[256];
};

bool complain(PurgeRequest* p, const char* format, const char* name, size_t index) noexcept {
    u_char* end = ngx_snprintf(reinterpret_cast<u_char*>(p->problem), sizeof(p->problem) - 1,
                               format, name, index);
    *end = '\0';
    return false;
}

// "scheme://host[:port]/path?args", or "host/path" without a scheme. Fragments are cut off.
bool split(PurgeRequest* p, Bytes text, cache::Url* url) noexcept {
    const size_t scheme = text.find("://");
    if (scheme != Bytes::npos) {
        text = base::slice(text, scheme + 3);
    }
    text = base::slice(text, 0, text.find('#'));
    const size_t slash = text.find_first_of("/?");
    Bytes authority = base::slice(text, 0, slash);
    Bytes uri = slash == Bytes::npos ? Bytes("/") : base::slice(text, slash);
    const size_t colon = authority.rfind(':');
    if (colon != Bytes::npos && authority.find(']', colon) == Bytes::npos) {
        authority = base::slice(authority, 0, colon);
    }
    Bytes host;
    if (authority.empty() || uri.front() != '/' || !pool_copy(p->pool, authority, &host)) {
        return false;
    }
    ngx_strlow(mutable_data(host), mutable_data(host), host.size());
    return split_url(p->pool, host, uri, url);
}

bool add_url(PurgeRequest* p, Bytes text) noexcept {
    cache::Url url;
    if (!split(p, text, &url)) {
        return false;
    }
    const size_t n = url.path.size();
    if (n >= 2 && url.path[n - 1] == '*' && url.path[n - 2] == '/' && url.args.empty()) {
        p->selector[p->count++] = cache::prefix_selector(url.host, base::slice(url.path, 0, n - 1),
                                                         p->zone->store.secret());
        return true;
    }
    p->selector[p->count++] = cache::url_selector(url, p->zone->store.secret());
    return true;
}

// A prefix is of whole path segments: "host/a" and "host/a/" name the same.
bool add_prefix(PurgeRequest* p, Bytes text) noexcept {
    cache::Url url;
    if (!split(p, text, &url) || !url.args.empty()) {
        return false;
    }
    Bytes path = url.path;
    if (path.size() >= 2 && path.back() == '*' && path[path.size() - 2] == '/') {
        path.remove_suffix(1);
    }
    if (path.back() != '/') {
        auto* with_slash = static_cast<u_char*>(ngx_pnalloc(p->pool, path.size() + 1));
        if (with_slash == nullptr) {
            return false;
        }
        ngx_memcpy(with_slash, path.data(), path.size());
        with_slash[path.size()] = '/';
        path = {reinterpret_cast<char*>(with_slash), path.size() + 1};
        // The page at the prefix itself goes too.
        p->selector[p->count++] = cache::url_selector(url, p->zone->store.secret());
    }
    p->selector[p->count++] = cache::prefix_selector(url.host, path, p->zone->store.secret());
    return true;
}

bool add_host(PurgeRequest* p, Bytes text) noexcept {
    Bytes host;
    if (text.empty() || text.find('/') != Bytes::npos || !pool_copy(p->pool, text, &host)) {
        return false;
    }
    ngx_strlow(mutable_data(host), mutable_data(host), host.size());
    p->selector[p->count++] = cache::host_selector(host, p->zone->store.secret());
    return true;
}

bool add_tag(PurgeRequest* p, Bytes text) noexcept {
    if (text.empty()) {
        return false;
    }
    p->selector[p->count++] = cache::tag_selector(text, p->zone->store.secret());
    return true;
}

struct ListField {
    const char* name;
    bool (*add)(PurgeRequest*, Bytes);
};

constexpr ListField kLists[] = {
    {"urls", add_url},   {"files", add_url}, {"prefixes", add_prefix},
    {"hosts", add_host}, {"tags", add_tag},
};

bool read_list(PurgeRequest* p, const ListField& field, json_t* value) noexcept {
    if (!json_is_array(value)) {
        return complain(p, "\"%s\" must be a list of strings", field.name, 0);
    }
    size_t index = 0;
    json_t* item = nullptr;
    json_array_foreach(value, index, item) {
        // Cloudflare also writes files as {"url": …}.
        json_t* text = json_is_object(item) ? json_object_get(item, "url") : item;
        if (!json_is_string(text)
            || !field.add(p, {json_string_value(text), json_string_length(text)})) {
            return complain(p, "\"%s\"[%uz] is not valid", field.name, index);
        }
    }
    return true;
}

bool read_field(PurgeRequest* p, const char* key, json_t* value) noexcept {
    for (const ListField& field : kLists) {
        if (ngx_strcmp(field.name, key) == 0) {
            return read_list(p, field, value);
        }
    }
    const Bytes name(key);
    if (name == "all" || name == "purge_everything") {
        p->all = json_is_true(value);
        return json_is_boolean(value) || complain(p, "\"%s\" must be true or false", key, 0);
    }
    if (name == "mode") {
        const char* mode = json_string_value(value);
        p->soft = mode != nullptr && Bytes(mode) == "soft";
        return (mode != nullptr && (p->soft || Bytes(mode) == "hard"))
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

bool read_request(PurgeRequest* p, json_t* root) noexcept {
    if (!json_is_object(root)) {
        return complain(p, "the body must be %s", "a JSON object", 0);
    }
    const size_t items = count_items(root);
    if (items > kMaxItems) {
        return complain(p, "too many items in %s", "one request", 0);
    }
    p->selector = static_cast<uint64_t*>(ngx_palloc(p->pool, (2 * items + 1) * sizeof(uint64_t)));
    if (p->selector == nullptr) {
        return complain(p, "out of %s", "memory", 0);
    }
    const char* key = nullptr;
    json_t* value = nullptr;
    json_object_foreach(root, key, value) {
        if (!read_field(p, key, value)) {
            return false;
        }
    }
    return p->all || p->count != 0 || complain(p, "nothing to purge in %s", "the body", 0);
}

ngx_int_t answer(ngx_http_request_t* r, PurgeRequest* p) noexcept {
    const shm::PurgeMode mode = p->soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard;
    uint64_t seq = 0;
    if (p->count != 0) {
        seq = p->zone->store.purge(p->selector, p->count, mode);
    }
    if (p->all) {
        seq = p->zone->store.purge_all(mode);
    }
    count(p->zone, Counter::kPurges);
    count(p->zone, Counter::kPurgeSelectors, p->count + (p->all ? 1 : 0));
    auto* text = static_cast<u_char*>(ngx_pnalloc(r->pool, 128));
    if (text == nullptr) {
        return NGX_ERROR;
    }
    u_char* end = ngx_sprintf(text, "{\"seq\":%uL,\"accepted\":%uD}" CRLF, seq,
                              p->count + (p->all ? 1U : 0U));
    return send_json(r, NGX_HTTP_OK, {reinterpret_cast<char*>(text), static_cast<size_t>(end - text)});
}

// The body in one piece; false when it is not in memory (client_body_in_file_only) or too large.
bool whole_body(ngx_http_request_t* r, Bytes* out) noexcept {
    size_t size = 0;
    if (r->request_body == nullptr) {
        return false;
    }
    for (ngx_chain_t* cl = r->request_body->bufs; cl != nullptr; cl = cl->next) {
        size += static_cast<size_t>(ngx_buf_size(cl->buf));
    }
    auto* p = size <= kMaxBody ? static_cast<u_char*>(ngx_palloc(r->pool, size + 1)) : nullptr;
    if (p == nullptr) {
        return false;
    }
    *out = {reinterpret_cast<char*>(p), size};
    for (ngx_chain_t* cl = r->request_body->bufs; cl != nullptr; cl = cl->next) {
        ngx_buf_t* b = cl->buf;
        if (b->in_file) {
            const auto n = static_cast<size_t>(b->file_last - b->file_pos);
            if (ngx_read_file(b->file, p, n, b->file_pos) != static_cast<ssize_t>(n)) {
                return false;
            }
            p += n;
        } else if (b->last != b->pos) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
        }
    }
    return true;
}

ngx_int_t purge_body(ngx_http_request_t* r, Zone* zone) noexcept {
    Bytes body;
    if (!whole_body(r, &body)) {
        return send_problem(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "body too large", "at most 1 MB");
    }
    json_error_t error;
    json_t* root = json_loadb(body.data(), body.size(), JSON_REJECT_DUPLICATES, &error);
    if (root == nullptr) {
        return send_problem(r, NGX_HTTP_BAD_REQUEST, "not JSON", error.text);
    }
    auto* p = pool_new<PurgeRequest>(r->pool);
    ngx_int_t rc = NGX_ERROR;
    if (p != nullptr) {
        p->zone = zone;
        p->pool = r->pool;
        rc = read_request(p, root)
                 ? answer(r, p)
                 : send_problem(r, NGX_HTTP_BAD_REQUEST, "invalid purge request", p->problem);
    }
    json_decref(root);
    return rc;
}

void on_body(ngx_http_request_t* r) noexcept {
    Zone* zone = api_zone(r);
    ngx_http_finalize_request(
        r, zone != nullptr ? purge_body(r, zone) : static_cast<ngx_int_t>(NGX_HTTP_NOT_FOUND));
}

}  // namespace

ngx_int_t purge_by_json(ngx_http_request_t* r, Zone*) noexcept {
    if (r->headers_in.content_length_n > static_cast<off_t>(kMaxBody)) {
        return send_problem(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "body too large", "at most 1 MB");
    }
    const ngx_int_t rc = ngx_http_read_client_request_body(r, on_body);
    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}

}  // namespace slab_cache::ngx
