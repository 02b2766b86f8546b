#include "cache/purge_request.h"

#include "cache/purge_dialect.h"
#include "http/tags.h"

namespace slab_cache::cache {
namespace {

constexpr Bytes kPurgeKeys = "PURGEKEYS";  // FOSHttpCache with Varnish's xkey

FieldRead refuse(PurgeRequest* p, Bytes why) noexcept {
    p->complaint = why;
    return FieldRead::kRefused;
}

FieldRead read_tags(PurgeRequest* p, Bytes value) noexcept {
    switch (select_tag_pattern(p->to, value)) {
    case TagsRead::kAll:
        return FieldRead::kFine;
    case TagsRead::kTooMany:
        return FieldRead::kTooManyTags;
    case TagsRead::kNotUnderstood:
        return refuse(p, "the pattern is none that is known: name tags, or use Surrogate-Key");
    case TagsRead::kTags:
        break;
    }
    // Else nothing carries such a tag, and a yes would be a lie.
    return p->has_own_tags
               ? FieldRead::kFine
               : refuse(p,
                        "tags of responses are read from Surrogate-Key, Cache-Tag, xkey and Cache-Groups here: "
                        "purge by one of these, or name the field of responses in slab_cache_tags");
}

FieldRead read_dialect(PurgeRequest* p, Dialect dialect, Bytes value) noexcept {
    switch (dialect) {
    case Dialect::kTags:
    case Dialect::kTagPattern:
        return read_tags(p, value);
    case Dialect::kMethod:
        p->is_by_pattern = base::equal_nocase(value, "regex");
        return p->is_by_pattern || base::equal_nocase(value, "exact") || base::equal_nocase(value, "default")
                   ? FieldRead::kFine
                   : refuse(p, "X-Purge-Method is regex, exact or default");
    case Dialect::kScope:
        p->is_everything = true;
        return value == ".*"
                   ? FieldRead::kFine
                   : refuse(p, "X-Url, X-Host and X-Content-Type may only be \".*\": name the URL in the request line");
    case Dialect::kForeign:
    case Dialect::kNone:
        break;
    }
    return refuse(
        p, "a field chooses what is to be purged in a way that is not known here: name URLs, or tags in Surrogate-Key");
}

}  // namespace

bool is_purge_method(Bytes method, Bytes configured) noexcept {
    return method == configured || (method == kPurgeKeys && configured == "PURGE");
}

FieldRead read_purge_field(PurgeRequest* p, Bytes name, Bytes value) noexcept {
    const Dialect dialect = dialect_of(name, p->method);
    if (dialect != Dialect::kNone) {
        return read_dialect(p, dialect, value);
    }
    Selection* to = p->to;
    const bool soft_keys = base::equal_nocase(name, "xkey-softpurge");
    to->soft = to->soft || soft_keys || (base::equal_nocase(name, "Fastly-Soft-Purge") && value == "1");
    if (!soft_keys && !base::equal_nocase(name, "xkey-purge") && !http::is_tag_field(name)) {
        return FieldRead::kFine;
    }
    http::TagReader reader(value);
    Bytes tag;
    while (reader.next(&tag)) {
        if (!select_tag(to, tag)) {
            return FieldRead::kTooManyTags;
        }
    }
    return FieldRead::kFine;
}

PurgeNames purge_names(const PurgeRequest& p) noexcept {
    if (!is_empty(*p.to)) {
        return PurgeNames::kTags;
    }
    return p.method == kPurgeKeys ? PurgeNames::kNothing : PurgeNames::kUrl;
}

bool select_own_url(PurgeRequest* p, Bytes host, Bytes uri, Url* understood) noexcept {
    if (!split_url(p->to->arena, host, uri, understood)) {
        return false;
    }
    if (p->is_everything && understood->path == "/") {
        select_all(p->to);
        return true;
    }
    const bool ok = p->is_by_pattern ? select_url_pattern(p->to, *understood) : select_request_url(p->to, *understood);
    p->complaint = p->is_by_pattern ? Bytes("regular expressions are not known here, but for \".*\" at the end")
                                    : Bytes("the pattern is too long to be remembered, or there are too many");
    return ok;
}

}  // namespace slab_cache::cache
