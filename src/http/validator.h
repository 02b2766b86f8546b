// http/validator.h — ETag and Last-Modified: comparison, conditions of clients, validation (RFC
// 9110 §8.8, §13; RFC 9111 §4.3).
//
// Hot path    a request without If-* fields costs one look at an empty list.
// Choices     If-None-Match makes If-Modified-Since count for nothing, If-Match does so for
//             If-Unmodified-Since. A condition that is no date is ignored. Without Last-Modified,
//             Date stands in (§4.3.2). Conditions apply only where the stored answer is a 2xx. An
//             entity tag without quotes is compared as it stands.
#pragma once

#include <cstdint>
#include <optional>

#include "http/fields.h"
#include "http/message.h"

namespace slab_cache::http {

enum class Condition : uint8_t { kProceed, kNotModified, kFailed };

// What is stored, as text: the ETag and Last-Modified values (empty = absent), and the value of
// facts.date.
struct Validators {
    Bytes etag;
    Bytes last_modified;
    int64_t date = 0;
};

bool is_weak_tag(Bytes tag) noexcept;
bool strong_equal(Bytes a, Bytes b) noexcept;  // both strong and the same
bool weak_equal(Bytes a, Bytes b) noexcept;    // the same but for W/

// Order of RFC 9110 §13.2.2. `request` may hold just the If-* lines.
Condition evaluate_preconditions(const Fields& request, Method method, uint16_t stored_status, const Validators& stored,
                                 int64_t now) noexcept;

// May Range be honoured? True without If-Range; else for a strong match of the tag, or the very
// date of a Last-Modified that is older than Date (RFC 9110 §13.1.5, §8.8.2.2).
bool if_range_holds(const Fields& request, const Validators& stored, int64_t now) noexcept;

// Fields that a 304 generated from store carries: ETag, Date, Vary, Cache-Control,
// CDN-Cache-Control, Expires, Content-Location.
bool is_304_field(Bytes name) noexcept;

// Does the answer to a HEAD show that the stored GET is out of date: another ETag, Last-Modified or
// Content-Length? A field that the HEAD lacks says nothing (RFC 9111 §4.3.5).
bool head_differs(const Fields& stored, const Fields& head, uint64_t stored_length) noexcept;

}  // namespace slab_cache::http
