#include "http/tags.h"

#include "http/syntax.h"

namespace slab_cache::http {

namespace {

bool separates(char c) noexcept { return is_space(c) || c == ','; }

bool is_list(Bytes line) noexcept {
    StructuredReader reader(line);
    for (Item item; reader.next_list_member(&item);) {
    }
    return !reader.failed();
}

}  // namespace

bool TagReader::next(Bytes* tag) noexcept {
    size_t from = 0;
    while (from < rest_.size() && separates(rest_[from])) {
        from++;
    }
    size_t to = from;
    while (to < rest_.size() && !separates(rest_[to])) {
        to++;
    }
    *tag = base::slice(rest_, from, to - from);
    rest_ = base::slice(rest_, to);
    return !tag->empty();
}

bool is_tag_field(Bytes name) noexcept {
    return base::equal_nocase(name, "Surrogate-Key") || base::equal_nocase(name, "Cache-Tag") ||
           base::equal_nocase(name, "xkey");
}

bool is_tag_field(Bytes name, const TagPolicy& policy) noexcept {
    for (uint32_t i = 0; i < policy.field_count; i++) {
        if (base::equal_nocase(name, policy.field[i])) {
            return true;
        }
    }
    return policy.usual && is_tag_field(name);
}

GroupReader::GroupReader(const Fields& fields, Bytes name) noexcept
    : at_(fields.begin()), end_(fields.end()), name_(name), line_(Bytes{}) {
    for (const Field& line : fields.lines(name)) {
        if (!is_list(line.value)) {
            at_ = end_;
        }
    }
}

bool GroupReader::next(Bytes* group) noexcept {
    for (;;) {
        for (Item item; line_.next_list_member(&item);) {
            if (item.type == ItemType::kString) {
                *group = item.text;
                return true;
            }
        }
        while (at_ != end_ && !base::equal_nocase(at_->name, name_)) {
            at_++;
        }
        if (at_ == end_) {
            return false;
        }
        line_ = StructuredReader(at_->value);
        at_++;
    }
}

}  // namespace slab_cache::http
