// http/tags.h — surrogate keys and cache groups (RFC 9875).
#pragma once

#include "http/fields.h"
#include "http/policy.h"
#include "http/structured.h"

namespace slab_cache::http {

// The tags in one value, separated by spaces, tabs and commas; empty ones do not occur.
class TagReader {
public:
    explicit TagReader(Bytes value) noexcept : rest_(value) {}
    bool next(Bytes* tag) noexcept;

private:
    Bytes rest_;
};

inline constexpr Bytes kCacheGroups = "Cache-Groups";
inline constexpr Bytes kCacheGroupInvalidation = "Cache-Group-Invalidation";

// The default sources of tags: Surrogate-Key, Cache-Tag, xkey. Their values are read with
// TagReader; Cache-Groups with GroupReader.
bool is_tag_field(Bytes name) noexcept;
// As slab_cache_tags has it.
bool is_tag_field(Bytes name, const TagPolicy& policy) noexcept;

// The groups in all lines of Cache-Groups or Cache-Group-Invalidation: a Structured Field List of
// Strings, ignored as a whole when it is none. A group is yielded as its text between the quotes,
// escapes left in, which is canonical. Groups mean something within one origin only: the caller
// adds the origin to the tag.
class GroupReader {
public:
    GroupReader(const Fields& fields, Bytes name) noexcept;
    bool next(Bytes* group) noexcept;

private:
    const Field* at_;
    const Field* end_;
    Bytes name_;
    StructuredReader line_;
};

}  // namespace slab_cache::http
