// http/structured.h — Structured Field dictionaries and lists (RFC 9651), strictly.
//
// What        Pull readers over one line. Every type is recognised and checked; parameters are
//             checked and skipped.
// Errors      next() returns false at the end and on a syntax error; failed() tells which. A field
//             whose parsing fails anywhere is to be ignored as a whole, so callers read to the end
//             before they believe anything.
// Choices     Several lines of a field are read one by one (a member cannot straddle lines); a
//             repeated dictionary key is yielded again, the last one counts.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::http {

using base::Bytes;

enum class ItemType : uint8_t {
    kInteger,
    kDecimal,
    kString,
    kToken,
    kBytes,
    kBoolean,
    kDate,
    kDisplayString,
    kInnerList,
};

struct Item {
    Bytes key;  // dictionary members only
    ItemType type = ItemType::kBoolean;
    int64_t integer = 0;   // kInteger, kDate
    bool boolean = false;  // kBoolean
    // kString: what is between the quotes, escapes left in; any other type: as written.
    Bytes text;
};

class StructuredReader {
public:
    explicit StructuredReader(Bytes line) noexcept;
    bool next_dictionary_member(Item* item) noexcept;
    bool next_list_member(Item* item) noexcept;
    bool failed() const noexcept { return failed_; }

private:
    bool begin_member() noexcept;
    bool read_key(Bytes* key) noexcept;
    bool read_member(Item* item) noexcept;
    bool read_inner_list(Item* item) noexcept;
    bool read_bare_item(Item* item) noexcept;
    bool read_number(Item* item) noexcept;
    bool read_string(Item* item) noexcept;
    bool read_display_string(Item* item) noexcept;
    bool read_token(Item* item) noexcept;
    bool read_byte_sequence(Item* item) noexcept;
    bool read_boolean(Item* item) noexcept;
    bool read_date(Item* item) noexcept;
    bool skip_parameters() noexcept;
    bool fail() noexcept {
        failed_ = true;
        return false;
    }
    bool at_end() const noexcept { return at_ >= line_.size(); }
    char peek() const noexcept { return at_end() ? '\0' : line_[at_]; }
    void skip_spaces() noexcept;

    Bytes line_;
    size_t at_ = 0;
    bool first_ = true;
    bool failed_ = false;
};

}  // namespace slab_cache::http
