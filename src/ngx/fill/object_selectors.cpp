#include "ngx/glue/ngx.h"

#include "ngx/fill/object_selectors.h"

#include "cache/url.h"
#include "http/tags.h"

namespace slab_cache::ngx {
namespace {

struct Selectors {
    uint64_t* out;
    uint32_t count;
    bool full;

    void add(uint64_t selector) noexcept {
        for (uint32_t i = 0; i < count; i++) {
            if (out[i] == selector) {
                return;
            }
        }
        if (count == cache::kMaxSelectors) {
            full = true;
            return;
        }
        out[count++] = selector;
    }
};

void add_tags(Selectors* to, Bytes value, const uint8_t* secret) noexcept {
    http::TagReader reader(value);
    Bytes tag;
    while (reader.next(&tag)) {
        to->add(cache::tag_selector(tag, secret));
    }
}

void add_response_tags(Selectors* to, Fill* fill, const http::Fields& response) noexcept {
    const uint8_t* secret = fill->zone->store.secret();
    for (const http::Field& field : response) {
        if (http::is_tag_field(field.name)) {
            add_tags(to, field.value, secret);
        }
    }
    if (!response.has(http::kCacheGroups)) {
        return;
    }
    http::GroupReader groups(response, http::kCacheGroups);
    Bytes group;
    while (groups.next(&group)) {
        to->add(cache::group_selector(fill->host, group, secret));
        to->add(cache::tag_selector(group, secret));
    }
}

bool add_configured_tags(Selectors* to, Fill* fill) noexcept {
    auto* value = static_cast<ngx_http_complex_value_t*>(fill->conf->tags->elts);
    for (ngx_uint_t i = 0; i < fill->conf->tags->nelts; i++) {
        ngx_str_t text;
        if (ngx_http_complex_value(fill->request, &value[i], &text) != NGX_OK) {
            return false;
        }
        add_tags(to, view(text), fill->zone->store.secret());
    }
    return true;
}

bool add_url(Selectors* to, Fill* fill, const cache::Url& url, cache::Side side) noexcept {
    uint64_t selector[cache::kMaxSelectors];
    const uint32_t n = cache::url_selectors(url, fill->zone->store.secret(), selector, cache::kMaxSelectors, side);
    for (uint32_t i = 0; i < n; i++) {
        to->add(selector[i]);
    }
    return n != 0;
}

// Whose answer it is; what clients call it; what it is called inside.
bool collect(Selectors* to, Fill* fill, const http::Fields& response) noexcept {
    to->add(fill->identity);
    cache::Url url;
    if (!cache::split_url(arena_of(fill->request->pool), fill->host, fill->uri, &url) 
        || !add_url(to, fill, url, cache::Side::kClients)) {
        return false;
    }
    if (fill->inner_differs && !fill->inner_path.empty() && fill->inner_path.front() == '/'
        && !add_url(to, fill, {fill->host, fill->inner_path, fill->inner_args}, cache::Side::kInner)) {
        return false;
    }
    switch (fill->conf->tags_mode) {
    case kTagsFromResponse:
        add_response_tags(to, fill, response);
        break;
    case kTagsConfigured:
        if (!add_configured_tags(to, fill)) {
            return false;
        }
        break;
    case kTagsOff:
        break;
    }
    return !to->full;
}

}  // namespace

uint32_t collect_selectors(Fill* fill, const http::Fields& response, uint64_t* out) noexcept {
    Selectors to{out, 0, false};
    return collect(&to, fill, response) ? to.count : 0;
}

uint32_t merge_selectors(Fill* fill, const http::Fields& response, uint64_t* out) noexcept {
    Selectors to{out, 0, false};
    if (!collect(&to, fill, response)) {
        return 0;
    }
    uint32_t n = 0;
    const uint64_t* old = shm::Store::selectors(fill->stale, &n);
    for (uint32_t i = 0; i < n; i++) {
        to.add(old[i]);
    }
    return to.full ? 0 : to.count;
}

bool is_tag_line(const LocConf* conf, Bytes name) noexcept {
    return conf->tags_mode == kTagsFromResponse && http::is_tag_field(name);
}

}  // namespace slab_cache::ngx
