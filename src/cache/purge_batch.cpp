#include "cache/purge_batch.h"

#include "cache/globs.h"

#include <cstring>

namespace slab_cache::cache {
namespace {

// "/a/*", and "/a/.*" as WordPress' plugins write it: what begins with a dot there goes as well. The prefix, or nothing.
Bytes prefix_of(const Url& url) noexcept {
    const size_t n = url.path.size();
    if (n < 2 || url.path.find('*') != n - 1 || !url.args.empty()) {
        return {};
    }
    const Bytes path = base::slice(url.path, 0, url.path[n - 2] == '.' ? n - 2 : n - 1);
    return !path.empty() && path.back() == '/' ? path : Bytes{};
}

bool has_star(const Url& url) noexcept { return is_glob(url.path) || is_glob(url.args); }

bool has_room(const Selection& s, uint32_t selectors) noexcept { return s.capacity - s.count >= selectors; }

void add(Selection* s, uint64_t selector) noexcept { s->selector[s->count++] = selector; }

uint32_t most_understood(const Selection& s) noexcept { return s.keeps_all ? s.capacity : kMaxUnderstood; }

// Room for one more. False when memory ran out, or there are enough.
bool may_note(Selection* s) noexcept {
    if (s->understood_count < s->understood_room) {
        return true;
    }
    const uint32_t most = most_understood(*s);
    const uint32_t wanted = s->understood_room != 0 ? 4 * s->understood_room : kMaxUnderstood;
    const uint32_t room = wanted < most ? wanted : most;
    auto* more = s->understood_count < room ? s->arena.get<Understood>(room) : nullptr;
    if (more == nullptr) {
        return false;
    }
    for (uint32_t i = 0; i < s->understood_count; i++) {
        more[i] = s->understood[i];
    }
    s->understood = more;
    s->understood_room = room;
    return true;
}

void note(Selection* s, const Understood& what) noexcept {
    if (may_note(s)) {
        s->understood[s->understood_count++] = what;
    }
}

// An operator's URL may be one that clients never see.
void add_inner(Selection* s, const Url& url) noexcept {
    s->inner[s->inner_count++] = inner_url_selector(url, s->secret);  // at most one for each selector
}

// One thing that is one selector.
bool add_thing(Selection* s, uint64_t selector, const Understood& what) noexcept {
    if (!has_room(*s, 1)) {
        return false;
    }
    add(s, selector);
    s->accepted++;
    note(s, what);
    return true;
}

// "path" or "path?args", in one piece.
bool pattern_of(const base::Arena& arena, const Url& url, Bytes* out) noexcept {
    *out = url.path;
    if (url.args.empty()) {
        return true;
    }
    const size_t size = url.path.size() + 1 + url.args.size();
    char* p = arena.get(size);
    if (p == nullptr) {
        return false;
    }
    std::memcpy(p, url.path.data(), url.path.size());
    p[url.path.size()] = '?';
    std::memcpy(p + url.path.size() + 1, url.args.data(), url.args.size());
    *out = {p, size};
    return true;
}

bool has_rule_room(Selection* s) noexcept {
    if (s->glob == nullptr) {
        s->glob = s->arena.get<SelectedGlob>(kMaxGlobs);
    }
    return s->glob != nullptr && s->glob_count < kMaxGlobs;
}

bool add_rule(Selection* s, const SelectedGlob& rule) noexcept {
    s->glob[s->glob_count++] = rule;
    return true;
}

bool add_pattern(Selection* s, const Url& url) noexcept {
    Bytes pattern;
    if (!has_rule_room(s) || !pattern_of(s->arena, url, &pattern) || !fits_rule({url.host, pattern, false})) {
        return false;
    }
    // What literally has a star in it; and the purge that gives the pattern its counter.
    if (!add_thing(s, url_selector(url, s->secret), {Thing::kPattern, url.host, pattern, url.path.size(), false})) {
        return false;
    }
    return add_rule(s, {url.host, pattern});
}

bool with_slash(const base::Arena& arena, Bytes path, Bytes* out) noexcept {
    char* p = arena.get(path.size() + 1);
    if (p == nullptr) {
        return false;
    }
    std::memcpy(p, path.data(), path.size());
    p[path.size()] = '/';
    *out = {p, path.size() + 1};
    return true;
}

}  // namespace

bool make_room(Selection* s, size_t selectors) noexcept {
    const base::Arena arena = s->arena;
    const uint8_t* secret = s->secret;
    const Asker asker = s->asker;
    const bool keeps_all = s->keeps_all;
    *s = {};
    s->keeps_all = keeps_all;
    s->arena = arena;
    s->secret = secret;
    s->asker = asker;
    s->selector = selectors <= UINT32_MAX / 2 ? s->arena.get<uint64_t>(2 * selectors) : nullptr;
    s->capacity = s->selector != nullptr ? static_cast<uint32_t>(selectors) : 0;
    s->inner = s->selector != nullptr ? s->selector + selectors : nullptr;
    return s->selector != nullptr;
}

bool select_exactly(Selection* s, const Url& url) noexcept {
    Bytes text = url.path;
    (void) pattern_of(s->arena, url, &text);
    if (!add_thing(s, url_selector(url, s->secret), {Thing::kUrl, url.host, text, url.path.size(), false})) {
        return false;
    }
    add_inner(s, url);
    return true;
}

bool select_request_url(Selection* s, const Url& url) noexcept {
    if (const Bytes prefix = prefix_of(url); !prefix.empty()) {
        return add_thing(s, prefix_selector(url.host, prefix, s->secret), {Thing::kPrefix, url.host, prefix});
    }
    return has_star(url) ? add_pattern(s, url) : select_exactly(s, url);
}

bool select_url(Selection* s, Bytes url) noexcept {
    Target target;
    return parse_target(s->arena, s->asker, url, &target) && select_request_url(s, target.url);
}

bool select_prefix(Selection* s, Bytes text) noexcept {
    Target target;
    if (!parse_target(s->arena, s->asker, text, &target) || !target.url.args.empty() || !has_room(*s, 2)) {
        return false;
    }
    const Url& url = target.url;
    const Bytes prefix = prefix_of(url);
    Bytes path = !prefix.empty() ? prefix : url.path;
    const bool with_page = path.back() != '/';
    if (with_page) {
        if (!with_slash(s->arena, path, &path)) {
            return false;
        }
        add(s, url_selector(url, s->secret));
        add_inner(s, url);
    }
    return add_thing(s, prefix_selector(url.host, path, s->secret),
                     {Thing::kPrefix, url.host, path, Bytes::npos, with_page});
}

bool select_host(Selection* s, Bytes text) noexcept {
    Target target;
    return text.find_first_of("/?") == Bytes::npos && parse_target(s->arena, s->asker, text, &target) &&
           add_thing(s, host_selector(target.url.host, s->secret), {Thing::kHost, target.url.host, {}});
}

bool is_tag(Bytes text) noexcept { return !text.empty() && text.find_first_of(Bytes{" \t,\r\n\0", 6}) == Bytes::npos; }

bool select_tag(Selection* s, Bytes tag) noexcept {
    if (!is_tag(tag)) {
        return false;
    }
    // Its text may be gone when the purge is answered.
    char* p = s->understood_count < most_understood(*s) ? s->arena.get(tag.size()) : nullptr;
    if (p != nullptr) {
        std::memcpy(p, tag.data(), tag.size());
    }
    return add_thing(s, tag_selector(tag, s->secret),
                     {Thing::kTag, {}, p != nullptr ? Bytes{p, tag.size()} : Bytes{}, Bytes::npos, false});
}

namespace {

// The selectors of tags, packed behind `lead` bytes of zero; and their text.
bool pack_tags(const Selection& s, const Bytes* tag, uint32_t count, size_t lead, Bytes* packed, Bytes* text) noexcept {
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        size += tag[i].size() + 1;
        if (!is_tag(tag[i])) {
            return false;
        }
    }
    char* p = s.arena.get(lead + 8 * size_t{count} + 1);
    char* words = s.arena.get(size + 1);
    if (p == nullptr || words == nullptr) {
        return false;
    }
    size_t used = 0;
    std::memset(p, 0, lead);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t selector = tag_selector(tag[i], s.secret);
        std::memcpy(p + lead + 8 * size_t{i}, &selector, 8);
        std::memcpy(words + used, tag[i].data(), tag[i].size());
        used += tag[i].size();
        words[used++] = ' ';
    }
    *packed = {p, lead + 8 * size_t{count}};
    *text = {words, used != 0 ? used - 1 : 0};
    return true;
}

}  // namespace

bool select_tags(Selection* s, const TagSet& tags) noexcept {
    Bytes all;
    Bytes none;
    Understood what{Thing::kTags, {}, {}};
    if (tags.all_count == 0 || tags.all_count > kMaxTagsOfRule || tags.none_count > kMaxTagsOfRule - tags.all_count ||
        !pack_tags(*s, tags.all, tags.all_count, 1, &all, &what.host) ||
        !pack_tags(*s, tags.none, tags.none_count, 0, &none, &what.text)) {
        return false;
    }
    // The purge that gives the rule its counter: of what nothing carries.
    return has_rule_room(s) && add_thing(s, tag_selector(all, s->secret), what) && add_rule(s, {all, none});
}

void select_all(Selection* s) noexcept {
    s->accepted += s->all ? 0 : 1;
    s->all = true;
}

uint32_t join_inner(Selection* s) noexcept {
    if (s->inner_count != 0) {
        std::memmove(s->selector + s->count, s->inner, s->inner_count * sizeof(uint64_t));
    }
    return s->count + s->inner_count;
}

bool is_empty(const Selection& s) noexcept { return s.count == 0 && !s.all; }

}  // namespace slab_cache::cache
