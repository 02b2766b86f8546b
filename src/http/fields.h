// http/fields.h — a message's field lines as a view.
//
// What        Field lines in their order, repeated names and all; find by name, walk all lines of a
//             name.
// Threading   values; as safe as the memory they point to.
// Ownership   Fields owns nothing: the caller keeps the array and the bytes alive.
// Invariants  names compare without regard to ASCII case (RFC 9110 §5.1); values carry no
//             surrounding whitespace where the parser before us stripped it, and no rule here
//             relies on that.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slab_cache::http {

using base::Bytes;

struct Field {
    Bytes name;
    Bytes value;
};

// All lines of one name, for range-based for.
class Lines {
public:
    class Iterator {
    public:
        Iterator(const Field* at, const Field* end, Bytes name) noexcept : at_(at), end_(end), name_(name) { skip(); }
        const Field& operator*() const noexcept { return *at_; }
        Iterator& operator++() noexcept {
            at_++;
            skip();
            return *this;
        }
        bool operator!=(const Iterator& other) const noexcept { return at_ != other.at_; }

    private:
        void skip() noexcept {
            while (at_ != end_ && !base::equal_nocase(at_->name, name_)) {
                at_++;
            }
        }
        const Field* at_;
        const Field* end_;
        Bytes name_;
    };

    Lines(const Field* data, size_t size, Bytes name) noexcept : begin_(data), end_(data + size), name_(name) {}
    Iterator begin() const noexcept { return {begin_, end_, name_}; }
    Iterator end() const noexcept { return {end_, end_, name_}; }

private:
    const Field* begin_;
    const Field* end_;
    Bytes name_;
};

// Names of one length and first letter share a bit.
constexpr uint64_t name_bit(Bytes name) noexcept {
    const auto letter = static_cast<unsigned char>(name.empty() ? '\0' : base::lower(name[0]));
    return uint64_t{1} << ((letter * 7U + name.size()) & 63);
}

// Most questions are about fields that are not there: `names`, where it was made, answers these without a walk.
struct Fields {
    const Field* data = nullptr;
    size_t size = 0;
    uint64_t names = ~uint64_t{0};  // name_bit() of all lines, or of more

    const Field* begin() const noexcept { return data; }
    const Field* end() const noexcept { return data + size; }
    bool may_have(Bytes name) const noexcept { return (names & name_bit(name)) != 0; }

    // The first line of that name, or nullptr.
    const Field* find(Bytes name) const noexcept {
        if (!may_have(name)) {
            return nullptr;
        }
        for (const Field& field : *this) {
            if (base::equal_nocase(field.name, name)) {
                return &field;
            }
        }
        return nullptr;
    }
    bool has(Bytes name) const noexcept { return find(name) != nullptr; }

    // The value of the first line of that name; empty when there is none (has() tells the
    // difference).
    Bytes get(Bytes name) const noexcept {
        const Field* field = find(name);
        return field != nullptr ? field->value : Bytes{};
    }

    Lines lines(Bytes name) const noexcept { return {data, may_have(name) ? size : 0, name}; }
};

}  // namespace slab_cache::http
