#include "ngx/ngx.h"

#include "ngx/selection.h"

#include "cache/globs.h"
#include "http/tags.h"
#include "ngx/counters.h"
#include "ngx/reply.h"
#include "ngx/target.h"
#include "ngx/user_area.h"
#include "ngx/verdict.h"

namespace slab_cache::ngx {
namespace {

bool ends_as_prefix(const cache::Url& url) noexcept {
    const size_t n = url.path.size();
    return n >= 2 && url.path.find('*') == n - 1 && url.path[n - 2] == '/' && url.args.empty();
}

bool has_star(const cache::Url& url) noexcept {
    return cache::is_glob(url.path) || cache::is_glob(url.args);
}

bool add(Selection* s, uint64_t selector) noexcept {
    if (s->count == s->capacity) {
        return false;
    }
    s->selector[s->count++] = selector;
    return true;
}

const uint8_t* secret(const Selection* s) noexcept { return s->zone->store.secret(); }

bool with_slash(ngx_pool_t* pool, Bytes path, Bytes* out) noexcept {
    auto* p = static_cast<char*>(ngx_pnalloc(pool, path.size() + 1));
    if (p == nullptr) {
        return false;
    }
    ngx_memcpy(p, path.data(), path.size());
    p[path.size()] = '/';
    *out = {p, path.size() + 1};
    return true;
}

// "path" or "path?args", in one piece.
bool pattern_of(ngx_pool_t* pool, const cache::Url& url, Bytes* out) noexcept {
    *out = url.path;
    if (url.args.empty()) {
        return true;
    }
    auto* p = static_cast<char*>(ngx_pnalloc(pool, url.path.size() + 1 + url.args.size()));
    if (p == nullptr) {
        return false;
    }
    ngx_memcpy(p, url.path.data(), url.path.size());
    p[url.path.size()] = '?';
    ngx_memcpy(p + url.path.size() + 1, url.args.data(), url.args.size());
    *out = {p, url.path.size() + 1 + url.args.size()};
    return true;
}

bool add_pattern(Selection* s, const cache::Url& url) noexcept {
    ngx_pool_t* pool = s->request->pool;
    if (s->glob == nullptr) {
        s->glob = static_cast<SelectedGlob*>(ngx_palloc(pool, kMaxGlobs * sizeof(SelectedGlob)));
    }
    Bytes pattern;
    if (s->glob == nullptr || s->glob_count == kMaxGlobs || !pattern_of(pool, url, &pattern)
        || !cache::fits_rule({url.host, pattern, false})) {
        return false;
    }
    s->glob[s->glob_count++] = {url.host, pattern};
    // What literally has a star in it; and the purge that gives the pattern its counter.
    return add(s, cache::url_selector(url, secret(s)));
}

}  // namespace

bool init_selection(Selection* s, ngx_http_request_t* r, Zone* zone, size_t things) noexcept {
    *s = {};
    s->request = r;
    s->zone = zone;
    s->capacity = static_cast<uint32_t>(2 * things);   // a prefix takes two
    s->selector = static_cast<uint64_t*>(ngx_palloc(r->pool, (2 * things + 1) * sizeof(uint64_t)));
    return s->selector != nullptr;
}

bool select_request_url(Selection* s, const cache::Url& url) noexcept {
    s->accepted++;
    if (ends_as_prefix(url)) {
        const Bytes prefix = base::slice(url.path, 0, url.path.size() - 1);
        return add(s, cache::prefix_selector(url.host, prefix, secret(s)));
    }
    return has_star(url) ? add_pattern(s, url) : add(s, cache::url_selector(url, secret(s)));
}

bool select_url(Selection* s, Bytes url) noexcept {
    Target target;
    return parse_target(s->request, url, &target) && select_request_url(s, target.url);
}

bool select_prefix(Selection* s, Bytes text) noexcept {
    Target target;
    if (!parse_target(s->request, text, &target) || !target.url.args.empty()) {
        return false;
    }
    const cache::Url& url = target.url;
    Bytes path = ends_as_prefix(url) ? base::slice(url.path, 0, url.path.size() - 1) : url.path;
    if (path.back() != '/'
        && (!with_slash(s->request->pool, path, &path) || !add(s, cache::url_selector(url, secret(s))))) {
        return false;
    }
    s->accepted++;
    return add(s, cache::prefix_selector(url.host, path, secret(s)));
}

bool select_host(Selection* s, Bytes text) noexcept {
    Target target;
    if (text.find('/') != Bytes::npos || text.find('?') != Bytes::npos
        || !parse_target(s->request, text, &target)) {
        return false;
    }
    s->accepted++;
    return add(s, cache::host_selector(target.url.host, secret(s)));
}

bool select_tag(Selection* s, Bytes tag) noexcept {
    if (tag.empty()) {
        return false;
    }
    s->accepted++;
    return add(s, cache::tag_selector(tag, secret(s)));
}

bool select_tags(Selection* s, Bytes list) noexcept {
    http::TagReader reader(list);
    Bytes tag;
    bool some = false;
    while (reader.next(&tag)) {
        if (!select_tag(s, tag)) {
            return false;
        }
        some = true;
    }
    return some;
}

void select_all(Selection* s) noexcept {
    s->accepted += s->all ? 0 : 1;
    s->all = true;
}

bool is_empty(const Selection& s) noexcept { return s.count == 0 && !s.all; }

uint64_t purge_selection(Selection* s) noexcept {
    const shm::PurgeMode mode = s->soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard;
    uint64_t seq = s->zone->store.purge_seq();
    if (s->count != 0) {
        seq = s->zone->store.purge(s->selector, s->count, mode, s->glob_count != 0 ? purge_globs : nullptr, s);
        UserArea* area = user_area(s->zone);
        if (s->glob_count != 0 && area != nullptr) {
            cache::publish_globs(&area->globs, seq);
        }
    }
    if (s->all) {
        seq = s->zone->store.purge_all(mode);
    }
    count(s->zone, Counter::kPurges);
    count(s->zone, Counter::kPurgeSelectors, s->count + (s->all ? 1 : 0));
    return seq;
}

ngx_int_t purge_and_answer(Selection* s) noexcept {
    const uint64_t seq = purge_selection(s);
    auto* text = static_cast<u_char*>(ngx_pnalloc(s->request->pool, 128));
    if (text == nullptr) {
        return NGX_ERROR;
    }
    u_char* end = ngx_sprintf(text, "{\"seq\":%uL,\"accepted\":%uD}" CRLF, seq, s->accepted);
    return send_json(s->request, NGX_HTTP_OK,
                     Bytes{reinterpret_cast<char*>(text), static_cast<size_t>(end - text)});
}

}  // namespace slab_cache::ngx
