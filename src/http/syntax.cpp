#include "http/syntax.h"

namespace slab_cache::http {

bool is_token_char(char c) noexcept {
    constexpr Bytes kPunctuation = "!#$%&'*+-.^_`|~";
    if (is_alpha(c) || is_digit(c)) {
        return true;
    }
    for (const char p : kPunctuation) {
        if (c == p) {
            return true;
        }
    }
    return false;
}

bool is_token(Bytes text) noexcept {
    for (const char c : text) {
        if (!is_token_char(c)) {
            return false;
        }
    }
    return !text.empty();
}

Bytes trim(Bytes text) noexcept {
    size_t from = 0;
    size_t to = text.size();
    while (from < to && is_space(text[from])) {
        from++;
    }
    while (to > from && is_space(text[to - 1])) {
        to--;
    }
    return base::slice(text, from, to - from);
}

int64_t parse_delta(Bytes text) noexcept {
    if (text.empty()) {
        return -1;
    }
    int64_t value = 0;
    for (const char c : text) {
        if (!is_digit(c)) {
            return -1;
        }
        value = value * 10 + (c - '0');
        value = value < kDeltaMax ? value : kDeltaMax;
    }
    return value;
}

bool ListReader::next(Bytes* member) noexcept {
    while (!rest_.empty()) {
        size_t at = 0;
        bool quoted = false;
        for (; at < rest_.size() && (quoted || rest_[at] != ','); at++) {
            if (rest_[at] == '"') {
                quoted = !quoted;
            } else if (quoted && rest_[at] == '\\') {
                at++;  // the escaped byte is no quote
            }
        }
        broken_ = broken_ || quoted;
        *member = trim(base::slice(rest_, 0, at));
        rest_ = base::slice(rest_, at + 1);
        if (!member->empty()) {
            return true;
        }
    }
    return false;
}

bool FieldListReader::next(Bytes* member) noexcept {
    while (!line_.next(member)) {
        broken_ = broken_ || line_.broken();
        while (at_ != end_ && !base::equal_nocase(at_->name, name_)) {
            at_++;
        }
        if (at_ == end_) {
            return false;
        }
        line_ = ListReader(at_->value);
        at_++;
    }
    return true;
}

bool list_has(Bytes list, Bytes name) noexcept {
    ListReader reader(list);
    for (Bytes member; reader.next(&member);) {
        if (base::equal_nocase(member, name)) {
            return true;
        }
    }
    return false;
}

Directive split_directive(Bytes member) noexcept {
    size_t at = 0;
    while (at < member.size() && member[at] != '=') {
        at++;
    }
    Directive directive;
    directive.name = trim(base::slice(member, 0, at));
    directive.has_argument = at < member.size();
    const Bytes raw = base::slice(member, at + 1);
    directive.argument = trim(raw);
    directive.has_blanks = directive.name.size() != at || directive.argument.size() != raw.size();
    return directive;
}

Bytes unquote(Bytes text) noexcept {
    const size_t size = text.size();
    if (size < 2 || text[0] != '"' || text[size - 1] != '"') {
        return text;
    }
    return base::slice(text, 1, size - 2);
}

void Output::put(Bytes text) noexcept {
    if (length_ < cap_ && !text.empty()) {
        const size_t room = cap_ - length_;
        std::memcpy(out_ + length_, text.data(), text.size() < room ? text.size() : room);
    }
    length_ += text.size();
}

void Output::put_number(uint64_t number) noexcept {
    char digits[base::kDecimalBytes];
    put(Bytes{digits, static_cast<size_t>(base::put_decimal(digits, number) - digits)});
}

}  // namespace slab_cache::http
