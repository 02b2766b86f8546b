#include "cache/purge_dialect.h"

#include "http/tags.h"

namespace slab_cache::cache {
namespace {

struct Name {
    Bytes name;
    Dialect dialect;
};

constexpr Name kNames[] = {
    {"X-Cache-Tags", Dialect::kTags},
    {"Cache-Tags", Dialect::kTags},
    {"Purge-Cache-Tags", Dialect::kTags},
    {"X-Magento-Tags-Pattern", Dialect::kTagPattern},
    {"X-Purge-Method", Dialect::kMethod},
    {"X-VC-Purge-Method", Dialect::kMethod},
    // They choose what is purged, in ways that are not known here.
    {"X-Purge-Regex", Dialect::kForeign},
    {"X-Purge-Host", Dialect::kForeign},
    {"X-VC-Purge-Host", Dialect::kForeign},
    {"X-Purge-Tags", Dialect::kForeign},
    {"X-Ban-Url", Dialect::kForeign},
    {"X-Ban-Host", Dialect::kForeign},
    {"X-Ban-Regex", Dialect::kForeign},
    {"X-Invalidate-Tags", Dialect::kForeign},
    {"Ykey-Purge", Dialect::kForeign},
};

// Of a BAN alone: other requests may have fields of these names that mean something else.
constexpr Bytes kScopes[] = {"X-Url", "X-Host", "X-Content-Type"};

constexpr Bytes kMeta = "()[]{}|^$*+?\\";

bool take(Bytes* text, Bytes prefix) noexcept {
    if (!base::starts_with(*text, prefix)) {
        return false;
    }
    *text = base::slice(*text, prefix.size());
    return true;
}

// Literal text with "\x" for x, up to what is neither.
bool take_literal(const base::Arena& arena, Bytes* text, Bytes* literal) noexcept {
    char* p = arena.get(text->size() + 1);
    if (p == nullptr) {
        return false;
    }
    size_t n = 0;
    size_t at = 0;
    for (; at < text->size(); at++) {
        if ((*text)[at] == '\\' && at + 1 < text->size()) {
            at++;
        } else if (kMeta.find((*text)[at]) != Bytes::npos) {
            break;
        }
        p[n++] = (*text)[at];
    }
    *text = base::slice(*text, at);
    *literal = {p, n};
    return n != 0;
}

struct PatternReader {
    Selection* to;
    Bytes rest;
    TagsRead read = TagsRead::kTags;

    bool fail(TagsRead why) noexcept {
        read = why;
        return false;
    }
    bool tag() noexcept {
        Bytes literal;
        if (!take_literal(to->arena, &rest, &literal) || !is_tag(literal)) {
            return fail(TagsRead::kNotUnderstood);
        }
        return select_tag(to, literal) || fail(TagsRead::kTooMany);
    }
    bool tags() noexcept {
        do {
            if (!tag()) {
                return false;
            }
        } while (take(&rest, "|"));
        return true;
    }
};

// ((^|,)a(,|$))|((^|,)b(,|$))
bool read_magento(PatternReader* p) noexcept {
    do {
        if (!take(&p->rest, "((^|,)") || !p->tag() || !take(&p->rest, "(,|$))")) {
            return false;
        }
    } while (take(&p->rest, "|"));
    return p->rest.empty();
}

// (^|,)(a|b)(,|$), and as it was before: (a|b)(,.+)?$
bool read_fos(PatternReader* p) noexcept {
    const bool anchored = take(&p->rest, "(^|,)");
    return take(&p->rest, "(") && p->tags() && take(&p->rest, anchored ? ")(,|$)" : ")(,.+)?$") && p->rest.empty();
}

TagsRead read_list(Selection* to, Bytes value) noexcept {
    http::TagReader reader(value);
    Bytes tag;
    bool any = false;
    while (reader.next(&tag)) {
        if (!select_tag(to, tag)) {
            return TagsRead::kTooMany;
        }
        any = true;
    }
    return any ? TagsRead::kTags : TagsRead::kNotUnderstood;
}

}  // namespace

Dialect dialect_of(Bytes name, Bytes method) noexcept {
    for (const Name& row : kNames) {
        if (base::equal_nocase(row.name, name)) {
            return row.dialect;
        }
    }
    for (Bytes scope : kScopes) {
        if (method == "BAN" && base::equal_nocase(scope, name)) {
            return Dialect::kScope;
        }
    }
    return Dialect::kNone;
}

TagsRead select_tag_pattern(Selection* to, Bytes value) noexcept {
    if (value == ".*" || value == "*") {
        select_all(to);
        return TagsRead::kAll;
    }
    if (value.find_first_of(kMeta) == Bytes::npos) {
        return read_list(to, value);
    }
    const uint32_t count = to->count;
    const uint32_t accepted = to->accepted;
    const uint32_t understood = to->understood_count;
    for (auto* read : {read_magento, read_fos}) {
        PatternReader reader{to, value};
        if (read(&reader)) {
            return TagsRead::kTags;
        }
        to->count = count;  // half of a pattern is none
        to->accepted = accepted;
        to->understood_count = understood;
        if (reader.read == TagsRead::kTooMany) {
            return TagsRead::kTooMany;
        }
    }
    return TagsRead::kNotUnderstood;
}

bool select_url_pattern(Selection* to, const Url& url) noexcept {
    Bytes path = url.path;
    if (base::slice(path, path.size() >= 2 ? path.size() - 2 : 0) == ".*") {
        path.remove_suffix(2);
    }
    if (!url.args.empty() || path.empty() || path.find_first_of(kMeta) != Bytes::npos) {
        return false;
    }
    char* p = to->arena.get(path.size() + 1);
    if (p == nullptr) {
        return false;
    }
    std::memcpy(p, path.data(), path.size());
    p[path.size()] = '*';
    return select_request_url(to, {url.host, {p, path.size() + 1}, {}});
}

}  // namespace slab_cache::cache
