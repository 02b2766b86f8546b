#include "http/structured.h"

#include "http/syntax.h"

namespace slab_cache::http {

namespace {

bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
bool is_key_char(char c) noexcept { return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*'; }
bool is_printable(char c) noexcept { return c >= 0x20 && c <= 0x7e; }

// The value of a lower-case hexadecimal digit, or -1 (RFC 9651 §4.2.10 wants lower case).
int hex_value(char c) noexcept {
    if (is_digit(c)) {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Checks UTF-8 byte by byte (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
class Utf8Check {
public:
    bool add(uint8_t byte) noexcept {
        if (missing_ == 0) {
            return start(byte);
        }
        if (byte < low_ || byte > high_) {
            return false;
        }
        low_ = 0x80;
        high_ = 0xbf;
        missing_--;
        return true;
    }
    bool complete() const noexcept { return missing_ == 0; }

private:
    bool start(uint8_t byte) noexcept {
        low_ = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
        high_ = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
        missing_ = byte < 0x80 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
        return byte < 0x80 || (byte >= 0xc2 && byte <= 0xf4);
    }
    uint8_t low_ = 0;
    uint8_t high_ = 0;
    uint8_t missing_ = 0;
};

}  // namespace

StructuredReader::StructuredReader(Bytes line) noexcept : line_(line) { skip_spaces(); }

void StructuredReader::skip_spaces() noexcept {
    while (peek() == ' ') {
        at_++;
    }
}

// Moves to the start of the next member: past the comma, unless it is the first.
bool StructuredReader::begin_member() noexcept {
    if (failed_) {
        return false;
    }
    if (first_) {
        first_ = false;
        return !at_end();
    }
    while (is_space(peek())) {
        at_++;
    }
    if (at_end()) {
        return false;
    }
    if (peek() != ',') {
        return fail();
    }
    at_++;
    while (is_space(peek())) {
        at_++;
    }
    return true;  // after a comma at the end, the missing member is the error
}

bool StructuredReader::next_dictionary_member(Item* item) noexcept {
    *item = Item{};
    if (!begin_member() || !read_key(&item->key)) {
        return false;
    }
    if (peek() == '=') {
        at_++;
        return read_member(item);
    }
    item->type = ItemType::kBoolean;
    item->boolean = true;
    return skip_parameters();
}

bool StructuredReader::next_list_member(Item* item) noexcept {
    *item = Item{};
    return begin_member() && read_member(item);
}

bool StructuredReader::read_key(Bytes* key) noexcept {
    const size_t from = at_;
    if (!is_lower(peek()) && peek() != '*') {
        return fail();
    }
    while (is_key_char(peek())) {
        at_++;
    }
    *key = base::slice(line_, from, at_ - from);
    return true;
}

bool StructuredReader::read_member(Item* item) noexcept {
    const bool read = peek() == '(' ? read_inner_list(item) : read_bare_item(item);
    return read && skip_parameters();
}

bool StructuredReader::read_inner_list(Item* item) noexcept {
    const size_t from = at_++;
    for (;;) {
        skip_spaces();
        if (peek() == ')') {
            at_++;
            item->type = ItemType::kInnerList;
            item->text = base::slice(line_, from, at_ - from);
            return true;
        }
        Item inner;
        if (at_end() || !read_bare_item(&inner) || !skip_parameters()) {
            return fail();
        }
        if (peek() != ' ' && peek() != ')') {
            return fail();
        }
    }
}

bool StructuredReader::read_bare_item(Item* item) noexcept {
    const char c = peek();
    if (is_digit(c) || c == '-') {
        return read_number(item);
    }
    if (is_alpha(c) || c == '*') {
        return read_token(item);
    }
    switch (c) {
    case '"':
        return read_string(item);
    case '?':
        return read_boolean(item);
    case ':':
        return read_byte_sequence(item);
    case '@':
        return read_date(item);
    case '%':
        return read_display_string(item);
    default:
        return fail();
    }
}

// At most 15 digits, or at most 12 before and 1 to 3 behind the point (RFC 9651 §4.2.4).
bool StructuredReader::read_number(Item* item) noexcept {
    const size_t from = at_;
    const bool negative = peek() == '-';
    at_ += negative ? 1 : 0;
    size_t digits = 0;
    int64_t value = 0;
    for (; is_digit(peek()); at_++) {
        if (++digits > 15) {
            return fail();
        }
        value = value * 10 + (peek() - '0');
    }
    if (digits == 0) {
        return fail();
    }
    item->type = ItemType::kInteger;
    item->integer = negative ? -value : value;
    if (peek() == '.') {
        at_++;
        size_t fraction = 0;
        for (; is_digit(peek()); at_++) {
            fraction++;
        }
        if (digits > 12 || fraction < 1 || fraction > 3) {
            return fail();
        }
        item->type = ItemType::kDecimal;
    }
    item->text = base::slice(line_, from, at_ - from);
    return true;
}

bool StructuredReader::read_string(Item* item) noexcept {
    const size_t from = ++at_;
    for (; !at_end(); at_++) {
        const char c = peek();
        if (c == '"') {
            item->type = ItemType::kString;
            item->text = base::slice(line_, from, at_ - from);
            at_++;
            return true;
        }
        if (!is_printable(c)) {
            return fail();
        }
        if (c == '\\') {
            at_++;
            if (peek() != '"' && peek() != '\\') {
                return fail();
            }
        }
    }
    return fail();
}

bool StructuredReader::read_display_string(Item* item) noexcept {
    const size_t from = at_++;
    if (peek() != '"') {
        return fail();
    }
    Utf8Check utf8;
    for (at_++; !at_end() && is_printable(peek()); at_++) {
        const char c = peek();
        if (c == '"') {
            at_++;
            item->type = ItemType::kDisplayString;
            item->text = base::slice(line_, from, at_ - from);
            return utf8.complete() ? true : fail();
        }
        int byte = c;
        if (c == '%') {
            const int high = at_ + 2 < line_.size() ? hex_value(line_[at_ + 1]) : -1;
            const int low = at_ + 2 < line_.size() ? hex_value(line_[at_ + 2]) : -1;
            if (high < 0 || low < 0) {
                return fail();
            }
            byte = high * 16 + low;
            at_ += 2;
        }
        if (!utf8.add(static_cast<uint8_t>(byte))) {
            return fail();
        }
    }
    return fail();
}

bool StructuredReader::read_token(Item* item) noexcept {
    const size_t from = at_;
    for (at_++; !at_end() && (is_token_char(peek()) || peek() == ':' || peek() == '/'); at_++) {
    }
    item->type = ItemType::kToken;
    item->text = base::slice(line_, from, at_ - from);
    return true;
}

bool StructuredReader::read_byte_sequence(Item* item) noexcept {
    const size_t from = at_;
    for (at_++; !at_end() && peek() != ':'; at_++) {
        const char c = peek();
        if (!is_alpha(c) && !is_digit(c) && c != '+' && c != '/' && c != '=') {
            return fail();
        }
    }
    if (at_end()) {
        return fail();
    }
    at_++;
    item->type = ItemType::kBytes;
    item->text = base::slice(line_, from, at_ - from);
    return true;
}

bool StructuredReader::read_boolean(Item* item) noexcept {
    const char c = at_ + 1 < line_.size() ? line_[at_ + 1] : '\0';
    if (c != '0' && c != '1') {
        return fail();
    }
    item->type = ItemType::kBoolean;
    item->boolean = c == '1';
    item->text = base::slice(line_, at_, 2);
    at_ += 2;
    return true;
}

bool StructuredReader::read_date(Item* item) noexcept {
    at_++;
    if (!read_number(item) || item->type != ItemType::kInteger) {
        return fail();
    }
    item->type = ItemType::kDate;
    return true;
}

bool StructuredReader::skip_parameters() noexcept {
    while (peek() == ';') {
        at_++;
        skip_spaces();
        Bytes key;
        if (!read_key(&key)) {
            return false;
        }
        if (peek() == '=') {
            at_++;
            Item value;
            if (!read_bare_item(&value)) {
                return false;
            }
        }
    }
    return true;
}

}  // namespace slab_cache::http
