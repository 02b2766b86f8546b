#include "cache/fleet_wire.h"

#include <cstring>

#include "base/hash.h"
#include "cache/fleet_field.h"
#include "cache/globs.h"
#include "http/escape.h"

namespace slab_cache::cache {
namespace {

// The next member of a list; empty at its end.
Bytes next_member(Bytes* rest, Bytes between) noexcept {
    const size_t from = rest->find_first_not_of(between);
    if (from == Bytes::npos) {
        *rest = {};
        return {};
    }
    *rest = base::slice(*rest, from);
    const Bytes member = base::slice(*rest, 0, rest->find_first_of(between));
    *rest = base::slice(*rest, member.size());
    return member;
}

constexpr Bytes kBlanks = " \t\r\n";
constexpr Bytes kBlanksAndComma = " \t\r\n,";

bool is_of_tags(Field field) noexcept {
    return field == Field::kTag || field == Field::kTagsAll || field == Field::kNot;
}

uint32_t count_members(Field field, Bytes list) noexcept {
    uint32_t n = 0;
    while (!next_member(&list, is_of_tags(field) ? kBlanksAndComma : kBlanks).empty()) {
        n++;
    }
    return n;
}

bool read_mode(Bytes value, EntryMode* mode) noexcept {
    *mode = value == "soft" ? EntryMode::kSoft : value == "doubt" ? EntryMode::kDoubt : EntryMode::kHard;
    return *mode != EntryMode::kHard || value == "hard";
}

bool read_bool(Bytes value, bool* out) noexcept {
    *out = value == "1" || value == "true" || value == "True" || value == "yes" || value == "on";
    return *out || value == "0" || value == "false" || value == "False" || value == "no" || value == "off";
}

// False: a value that cannot be meant.
bool read_field(Field field, Bytes value, EntryHead* out) noexcept {
    switch (field) {
    case Field::kUnknown:
        out->unknown++;
        return true;
    case Field::kMode:
        return read_mode(value, &out->mode);
    case Field::kZone:
        out->zone = value;
        return true;
    case Field::kFrom:
        out->from = value;
        return true;
    case Field::kHello:
        out->says_nothing = true;
        return true;
    case Field::kAll: {
        bool all = false;
        const bool fine = read_bool(value, &all);
        out->all = out->all || all;
        out->says_nothing = out->says_nothing || !all;
        return fine;
    }
    case Field::kUnsafe:
    case Field::kGroup:
        out->invalidated++;
        return true;
    case Field::kUrl:
    case Field::kPrefix:
    case Field::kHost:
    case Field::kTag:
    case Field::kGlob:
    case Field::kTagsAll:
    case Field::kNot:
        out->values += count_members(field, value);
        return true;
    }
    return true;
}

bool select_one(Field field, Bytes member, Selection* to) noexcept {
    switch (field) {
    case Field::kUrl:
    case Field::kGlob:
        return select_url(to, member);
    case Field::kPrefix:
        return select_prefix(to, member);
    case Field::kHost:
        return select_host(to, member);
    case Field::kTag:
        return select_tag(to, member);
    default:
        return true;
    }
}

struct TagList {
    Bytes tag[kMaxTagsOfRule];
    uint32_t count = 0;
    bool fits = true;

    void add(Bytes list) noexcept {
        for (Bytes member = next_member(&list, kBlanksAndComma); !member.empty();
             member = next_member(&list, kBlanksAndComma)) {
            if (count == kMaxTagsOfRule) {
                fits = false;
                return;
            }
            tag[count++] = member;
        }
    }
};

}  // namespace

bool read_entry_head(const Reply& entry, EntryHead* out) noexcept {
    *out = {};
    if (!entry.is_array() || !parse_stream_id(entry.at(0).text, &out->id)) {
        return false;
    }
    const Reply& fields = entry.at(1);
    bool fine = fields.is_array() && fields.count % 2 == 0;
    for (uint32_t i = 0; fine && i < fields.count; i += 2) {
        fine = fields.at(i).is_text() && fields.at(i + 1).is_text() &&
               read_field(field_of(fields.at(i).text), fields.at(i + 1).text, out);
    }
    const bool says_something = out->all || out->values != 0 || out->invalidated != 0;
    out->is_readable = fine && (says_something || out->says_nothing);
    return true;
}

bool select_entry(const Reply& entry, Selection* to) noexcept {
    const Reply& fields = entry.at(1);
    TagList all;
    TagList none;
    bool fine = true;
    for (uint32_t i = 0; i + 1 < fields.count; i += 2) {
        const Field field = field_of(fields.at(i).text);
        Bytes list = fields.at(i + 1).text;
        if (field == Field::kTagsAll) {
            all.add(list);
            continue;
        }
        if (field == Field::kNot) {
            none.add(list);
            continue;
        }
        const Bytes between = is_of_tags(field) ? kBlanksAndComma : kBlanks;
        for (Bytes m = next_member(&list, between); !m.empty(); m = next_member(&list, between)) {
            fine = select_one(field, m, to) && fine;
        }
    }
    if (all.count + none.count == 0) {
        return fine && all.fits && none.fits;
    }
    return fine && all.fits && none.fits && select_tags(to, {all.tag, all.count, none.tag, none.count});
}

namespace {

bool invalidated_group(const base::Arena& arena, Bytes value, const uint8_t* secret, uint64_t* selector) noexcept {
    const size_t slash = value.find('/');
    char* name = slash != Bytes::npos ? arena.get(value.size()) : nullptr;
    if (name == nullptr) {
        return false;
    }
    const size_t size = http::unescape(base::slice(value, slash + 1), name);
    *selector = group_selector(base::slice(value, 0, slash), {name, size}, secret);
    return true;
}

}  // namespace

void each_invalidated(const Reply& entry, const Selection& s, InvalidatedFn fn, void* data) noexcept {
    const Reply& fields = entry.at(1);
    for (uint32_t i = 0; i + 1 < fields.count; i += 2) {
        const Field field = field_of(fields.at(i).text);
        const Bytes value = fields.at(i + 1).text;
        uint64_t selector = 0;
        Target target;
        if (field == Field::kUnsafe && parse_target(s.arena, {false, {}}, value, &target)) {
            fn(url_selector(target.url, s.secret), true, data);
        } else if (field == Field::kGroup && invalidated_group(s.arena, value, s.secret, &selector)) {
            fn(selector, false, data);
        }
    }
}

namespace {

uint64_t hash_text(Bytes text, uint64_t seed) noexcept {
    uint64_t h = base::mix64(seed, text.size());
    while (!text.empty()) {
        const Bytes part = base::slice(text, 0, 8);
        uint64_t w = 0;
        std::memcpy(&w, part.data(), part.size());
        h = base::mix64(h, w);
        text = base::slice(text, part.size());
    }
    return h;
}

}  // namespace

uint64_t hash_entry(const Reply& entry) noexcept {
    uint64_t h = hash_text(entry.at(0).text, 1);
    const Reply& fields = entry.at(1);
    for (uint32_t i = 0; i < fields.count; i++) {
        h = hash_text(fields.at(i).text, h);
    }
    return h;
}

}  // namespace slab_cache::cache
