// cache/fleet_field.h — the fields that an entry of the stream may have: their numbers in records, their names in entries.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::cache {

using base::Bytes;

// Stored in records (fleet_record.h): a number once given stays.
enum class Field : uint8_t {
    kUnknown,
    kUrl,
    kPrefix,
    kHost,
    kTag,
    kGlob,
    kAll,
    kTagsAll,
    kNot,
    kMode,
    kZone,
    kFrom,
    kHello,
    kUnsafe,
    kGroup
};

struct FieldName {
    Field field;
    Bytes name;
    Bytes plural;
};
inline constexpr FieldName kFieldNames[] = {
    {Field::kUrl, "url", "urls"},
    {Field::kPrefix, "prefix", "prefixes"},
    {Field::kHost, "host", "hosts"},
    {Field::kTag, "tag", "tags"},
    {Field::kGlob, "glob", "globs"},
    {Field::kAll, "all", "all"},
    {Field::kTagsAll, "tags_all", "tags_all"},
    {Field::kNot, "not", "not"},
    {Field::kMode, "mode", "mode"},
    {Field::kZone, "zone", "zone"},
    {Field::kFrom, "from", "from"},
    {Field::kHello, "hello", "hello"},
    {Field::kUnsafe, "unsafe", "unsafe"},
    {Field::kGroup, "group", "group"},
};

inline Field field_of(Bytes name) noexcept {
    for (const FieldName& n : kFieldNames) {
        if (n.name == name || n.plural == name) {
            return n.field;
        }
    }
    return Field::kUnknown;
}

inline Bytes name_of(Field field) noexcept {
    for (const FieldName& n : kFieldNames) {
        if (n.field == field) {
            return n.name;
        }
    }
    return {};
}

}  // namespace slab_cache::cache
