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

}  // namespace slab_cache::ngx
