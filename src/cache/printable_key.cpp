// printable_key() and shape_of() of cache/key.h.
#include "cache/hidden.h"
#include "cache/key.h"
#include "http/vary.h"

namespace slab_cache::cache {
namespace {

constexpr Bytes kAcceptEncoding = "accept-encoding";

size_t number16(Bytes b) noexcept {
    return static_cast<size_t>(static_cast<unsigned char>(b[0])) << 8 | static_cast<unsigned char>(b[1]);
}

void put_plain(http::Output* out, Bytes text) noexcept {
    for (const char c : text) {
        out->put(static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c);
    }
}

// The set that Accept-Encoding was reduced to is nobody's.
void put_encodings(http::Output* out, uint8_t set) noexcept {
    constexpr struct {
        uint8_t bit;
        Bytes word;
    } kWords[] = {{http::kAcceptsGzip, "gzip"},
                  {http::kAcceptsBrotli, "br"},
                  {http::kAcceptsZstd, "zstd"},
                  {http::kRefusesIdentity, "no-identity"}};
    bool first = true;
    for (const auto& row : kWords) {
        if ((set & row.bit) != 0) {
            out->put(first ? Bytes{} : Bytes{"+"});
            out->put(row.word);
            first = false;
        }
    }
}

// One value of a variant: its length plus one as 4 bytes, little-endian, 0 for none. False for nonsense.
bool take_value(Bytes* rest, bool* is_there, Bytes* value) noexcept {
    if (rest->size() < 4) {
        return false;
    }
    uint32_t length = 0;
    for (int i = 3; i >= 0; i--) {
        length = length << 8 | static_cast<unsigned char>((*rest)[static_cast<size_t>(i)]);
    }
    *is_there = length != 0;
    *rest = base::slice(*rest, 4);
    if (length > rest->size() + 1) {
        return false;
    }
    *value = length == 0 ? Bytes{} : base::slice(*rest, 0, length - 1);
    *rest = base::slice(*rest, value->size());
    return true;
}

// "|name=#…" for each name of the spec; the name alone where the request had no such field.
bool put_values(http::Output* out, Bytes spec, Bytes values, const uint8_t* secret) noexcept {
    while (!spec.empty()) {
        const size_t comma = spec.find(',');
        const Bytes name = base::slice(spec, 0, comma);
        spec = comma == Bytes::npos ? Bytes{} : base::slice(spec, comma + 1);
        bool is_there = false;
        Bytes value;
        if (!http::is_token(name) || !take_value(&values, &is_there, &value)) {
            return false;
        }
        out->put('|');
        out->put(name);
        if (!is_there) {
            continue;
        }
        out->put('=');
        if (name == kAcceptEncoding && value.size() == 1) {
            put_encodings(out, static_cast<uint8_t>(value[0]));
        } else {
            put_hidden(out, value, secret);
        }
    }
    return values.empty();
}

void put_variant(http::Output* out, Bytes variant, const uint8_t* secret) noexcept {
    const size_t length = variant.size() >= 2 ? number16(variant) : SIZE_MAX;
    const Bytes rest = base::slice(variant, 2);
    // A first try that is written nowhere: of nonsense nothing may be shown.
    http::Output nowhere(nullptr, 0);
    if (length <= rest.size() &&
        put_values(&nowhere, base::slice(rest, 0, length), base::slice(rest, length), secret)) {
        (void) put_values(out, base::slice(rest, 0, length), base::slice(rest, length), secret);
        return;
    }
    out->put('|');
    put_hidden(out, variant, secret);
}

}  // namespace

KeyShape shape_of(Bytes key) noexcept {
    KeyShape shape;
    while (key.size() >= 2 && !shape.is_variant) {
        const size_t word = number16(key);
        const bool is_slot = word == 0xFFFE;
        shape.is_variant = word == 0xFFFF;
        shape.has_hidden = shape.has_hidden || (word < 0xFFFE && (word & kPartHidden) != 0);
        key = base::slice(key, is_slot ? kSlotBytes : 2 + (word & ~size_t{kPartHidden | kPartGoesOn}));
    }
    return shape;
}

size_t printable_key(Bytes key, const uint8_t* secret, char* out, size_t capacity) noexcept {
    http::Output text(out, capacity);
    bool first = true;
    while (key.size() >= 2) {
        const size_t word = number16(key);
        key = base::slice(key, 2);
        if (word == 0xFFFF) {
            put_variant(&text, key, secret);
            break;
        }
        if (word == 0xFFFE) {
            text.put("|slot=");
            text.put_number(key.empty() ? 0 : static_cast<unsigned char>(key[0]));
            key = base::slice(key, 1);
            continue;
        }
        const Bytes part = base::slice(key, 0, word & ~size_t{kPartHidden | kPartGoesOn});
        key = base::slice(key, part.size());
        if (!first && (word & kPartGoesOn) == 0) {
            text.put('|');
        }
        first = false;
        if ((word & kPartHidden) != 0) {
            put_hidden(&text, part, secret);
        } else {
            put_plain(&text, part);
        }
    }
    return text.length();
}

}  // namespace slab_cache::cache
