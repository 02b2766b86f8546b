#include "http/cache_control.h"

#include "http/structured.h"
#include "http/syntax.h"

namespace slab_cache::http {

namespace {

constexpr Bytes kCacheControl = "Cache-Control";
constexpr Bytes kCdnCacheControl = "CDN-Cache-Control";

// The lifetimes by name, so that both spellings of the field share them.
struct LifetimeRow {
    Bytes name;
    int64_t CacheControl::*member;
};
constexpr LifetimeRow kLifetimes[] = {
    {"max-age", &CacheControl::max_age},
    {"s-maxage", &CacheControl::s_maxage},
    {"stale-while-revalidate", &CacheControl::stale_while_revalidate},
    {"stale-if-error", &CacheControl::stale_if_error},
    {"min-fresh", &CacheControl::min_fresh},
    {"max-stale", &CacheControl::max_stale},
};

struct FlagRow {
    Bytes name;
    bool CacheControl::*member;
    bool is_permission;  // widens what the cache may do: only the exact form counts
};
constexpr FlagRow kFlags[] = {
    {"no-store", &CacheControl::no_store, false},
    {"no-cache", &CacheControl::no_cache, false},
    {"private", &CacheControl::is_private, false},
    {"public", &CacheControl::is_public, true},
    {"must-revalidate", &CacheControl::must_revalidate, false},
    {"proxy-revalidate", &CacheControl::proxy_revalidate, false},
    {"must-understand", &CacheControl::must_understand, true},
    {"only-if-cached", &CacheControl::only_if_cached, false},
};

int64_t CacheControl::*find_lifetime(Bytes name) noexcept {
    for (const LifetimeRow& row : kLifetimes) {
        if (base::equal_nocase(row.name, name)) {
            return row.member;
        }
    }
    return nullptr;
}

const FlagRow* find_flag(Bytes name) noexcept {
    for (const FlagRow& row : kFlags) {
        if (base::equal_nocase(row.name, name)) {
            return &row;
        }
    }
    return nullptr;
}

int64_t lifetime_of(const Directive& directive) noexcept {
    const int64_t value = directive.has_blanks ? -1 : parse_delta(unquote(directive.argument));
    return value < 0 ? 0 : value;
}

// no-cache="a, b": a list of field names and nothing else.
bool names_fields(const Directive& directive) noexcept {
    if (!directive.has_argument || directive.has_blanks) {
        return false;
    }
    ListReader names(unquote(directive.argument));
    bool any = false;
    for (Bytes name; names.next(&name); any = true) {
        if (!is_token(name)) {
            return false;
        }
    }
    return any;
}

void apply(const Directive& directive, CacheControl* out) noexcept {
    if (int64_t CacheControl::*member = find_lifetime(directive.name); member != nullptr) {
        if (out->*member != kAbsent) {
            return;  // of repeated ones the first counts
        }
        const bool any_staleness = member == &CacheControl::max_stale && !directive.has_argument;
        out->*member = any_staleness ? kDeltaMax : lifetime_of(directive);
        return;
    }
    const FlagRow* flag = find_flag(directive.name);
    if (flag == nullptr || (flag->is_permission && directive.has_argument)) {
        return;
    }
    if (flag->member == &CacheControl::no_cache && names_fields(directive)) {
        out->no_cache_fields = true;
        return;
    }
    out->*flag->member = true;
}

// One member of the dictionary. False: the whole field is to be ignored.
bool apply_item(const Item& item, CacheControl* out) noexcept {
    if (int64_t CacheControl::*member = find_lifetime(item.key); member != nullptr) {
        if (item.type != ItemType::kInteger) {
            return false;
        }
        const int64_t value = item.integer < 0 ? 0 : item.integer;
        out->*member = value < kDeltaMax ? value : kDeltaMax;
        return true;
    }
    const FlagRow* flag = find_flag(item.key);
    if (flag != nullptr) {
        const bool is_boolean = item.type == ItemType::kBoolean;
        out->*flag->member = is_boolean ? item.boolean : !flag->is_permission;
    }
    return true;
}

}  // namespace

CacheControl parse_cache_control(const Fields& fields) noexcept {
    CacheControl out;
    FieldListReader reader(fields, kCacheControl);
    for (Bytes member; reader.next(&member);) {
        out.present = true;
        apply(split_directive(member), &out);
    }
    if (reader.broken()) {
        out.no_store = true;
    }
    return out;
}

CacheControl parse_cdn_cache_control(const Fields& fields) noexcept {
    CacheControl out;
    bool blank = false;
    for (const Field& line : fields.lines(kCdnCacheControl)) {
        StructuredReader reader(line.value);
        bool any = false;
        for (Item item; reader.next_dictionary_member(&item); any = true) {
            if (!apply_item(item, &out)) {
                return CacheControl{};
            }
        }
        if (reader.failed()) {
            return CacheControl{};
        }
        blank = blank || !any;
        out.present = true;
    }
    // Joined to one list, an empty line leaves a comma without a member (RFC 9651 §4.2.2).
    return blank ? CacheControl{} : out;
}

bool no_cache_lists(const Fields& fields, Bytes name) noexcept {
    FieldListReader reader(fields, kCacheControl);
    for (Bytes member; reader.next(&member);) {
        const Directive directive = split_directive(member);
        if (base::equal_nocase(directive.name, "no-cache") && names_fields(directive) &&
            list_has(unquote(directive.argument), name)) {
            return true;
        }
    }
    return false;
}

}  // namespace slab_cache::http
