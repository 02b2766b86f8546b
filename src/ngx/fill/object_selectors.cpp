#include "ngx/glue/ngx.h"

#include "ngx/fill/object_selectors.h"

#include "cache/url.h"
#include "http/tags.h"

namespace slab_cache::ngx {
namespace {

void add_tags(cache::SelectorList* to, Bytes value, const uint8_t* secret) noexcept {
    http::TagReader reader(value);
    Bytes tag;
    while (reader.next(&tag)) {
        to->add(cache::tag_selector(tag, secret));
    }
}

// Of the fields that slab_cache_tags says, or of the usual ones.
void add_field_tags(cache::SelectorList* to, Fetch* fetch, const http::Fields& response) noexcept {
    const http::TagPolicy& policy = fetch->conf->policy.tags;
    const uint8_t* secret = fetch->zone->store.secret();
    for (const http::Field& field : response) {
        if (http::is_tag_field(field.name, policy)) {
            add_tags(to, field.value, secret);
        }
    }
    if (!policy.usual || !response.has(http::kCacheGroups)) {
        return;
    }
    http::GroupReader groups(response, http::kCacheGroups);
    Bytes group;
    while (groups.next(&group)) {
        to->add(cache::group_selector(fetch->url.host, group, secret));
        to->add(cache::tag_selector(group, secret));
    }
}

bool add_configured_tags(cache::SelectorList* to, Fetch* fetch) noexcept {
    if (fetch->conf->tags == nullptr) {
        return true;
    }
    auto* value = static_cast<ngx_http_complex_value_t*>(fetch->conf->tags->elts);
    for (ngx_uint_t i = 0; i < fetch->conf->tags->nelts; i++) {
        ngx_str_t text;
        if (ngx_http_complex_value(fetch->request, &value[i], &text) != NGX_OK) {
            return false;
        }
        add_tags(to, view(text), fetch->zone->store.secret());
    }
    return true;
}

// Whose answer it is; what clients call it; what it is called inside.
bool add_names(cache::SelectorList* to, Fetch* fetch) noexcept {
    const uint8_t* secret = fetch->zone->store.secret();
    cache::Url url;
    to->add(fetch->identity);
    if (!cache::split_url(arena_of(fetch->request->pool), fetch->url.host, fetch->url.uri, &url)) {
        return false;
    }
    to->add_url(url, secret);
    if (fetch->url.differs_inside() && !fetch->url.inner_path.empty() && fetch->url.inner_path.front() == '/') {
        to->add_url({fetch->url.host, fetch->url.inner_path, fetch->url.inner_args}, secret, cache::Side::kInner);
    }
    return true;
}

}  // namespace

http::Reason collect_selectors(Fetch* fetch, const http::Fields& response, const shm::Pin& old,
                               cache::SelectorList* to) noexcept {
    if (!add_names(to, fetch) || !add_configured_tags(to, fetch)) {
        return http::Reason::kInternal;
    }
    add_field_tags(to, fetch, response);
    if (old) {
        uint32_t n = 0;
        const uint64_t* selectors = shm::Store::selectors(old, &n);
        to->add(selectors, n);
    }
    if (!to->settle()) {
        return to->is_out_of_memory() ? http::Reason::kInternal : http::Reason::kTooManyTags;
    }
    return http::Reason::kNone;
}

namespace {

// Values of tag fields, one behind the other: counted first, then written.
struct TagText {
    char* at;
    size_t size;

    void add(Bytes value) noexcept {
        if (at != nullptr) {
            at[size] = ' ';
            ngx_memcpy(at + size + 1, value.data(), value.size());
        }
        size += 1 + value.size();
    }
};

bool put_tags(Fetch* fetch, const http::Fields& response, TagText* to) noexcept {
    for (const http::Field& field : response) {
        if (http::is_tag_field(field.name, fetch->conf->policy.tags) && !field.value.empty()) {
            to->add(field.value);
        }
    }
    auto* value =
        fetch->conf->tags != nullptr ? static_cast<ngx_http_complex_value_t*>(fetch->conf->tags->elts) : nullptr;
    for (ngx_uint_t i = 0; value != nullptr && i < fetch->conf->tags->nelts; i++) {
        ngx_str_t text;
        if (ngx_http_complex_value(fetch->request, &value[i], &text) != NGX_OK) {
            return false;
        }
        if (text.len != 0) {
            to->add(view(text));
        }
    }
    return true;
}

}  // namespace

bool tag_text(Fetch* fetch, const http::Fields& response, Bytes old_text, Bytes* text) noexcept {
    TagText counted = {nullptr, 0};
    if (!put_tags(fetch, response, &counted)) {
        return false;
    }
    if (counted.size == 0) {
        *text = old_text;
        return true;
    }
    auto* p = static_cast<char*>(ngx_pnalloc(fetch->request->pool, counted.size + 1 + old_text.size()));
    if (p == nullptr) {
        return false;
    }
    TagText written = {p, 0};
    if (!old_text.empty()) {
        written.add(old_text);
    }
    const bool ok = put_tags(fetch, response, &written);
    *text = {p + 1, written.size - 1};
    return ok;
}

bool has_names_only(Fetch* fetch, const shm::Pin& object) noexcept {
    cache::SelectorList names(arena_of(fetch->request->pool));
    uint32_t n = 0;
    (void) shm::Store::selectors(object, &n);
    return add_names(&names, fetch) && names.settle() && n <= names.size();
}

}  // namespace slab_cache::ngx
