#include "cache/stored_head.h"

#include <type_traits>

namespace slab_cache::cache {
namespace {

constexpr uint8_t kHeadVersion = 3;

// The fixed part as it lies in the zone; in the byte order of this machine, as all of the zone.
struct HeadWire {
    uint8_t version;
    uint8_t fact_flags;
    uint16_t status;
    uint16_t field_count;
    uint16_t content_type_len;
    uint32_t fresh_until;
    uint32_t stale_while_until;
    uint32_t stale_if_error_until;
    uint32_t born_at;  // since kBornEpoch
    uint32_t date;
    uint32_t last_modified;  // kNoTime: none
};
static_assert(sizeof(HeadWire) == kHeadFixedBytes && std::is_trivially_copyable_v<HeadWire>);
static_assert(http::fact::kOwnStaleIfError <= 0xFF, "the flags no longer fit into a byte");

constexpr uint32_t kNoTime = 0xFFFFFFFF;

// What came with an Age of up to 2^31 was born before 1970; nothing is born later than now.
constexpr int64_t kBornEpoch = -(int64_t{1} << 29);

constexpr uint32_t saturate(int64_t sec) noexcept {
    return sec < 0 ? 0 : sec > kNoTime ? kNoTime : static_cast<uint32_t>(sec);
}

struct Name {
    Bytes name;
    Bytes lowcase;
};

constexpr Name kNames[] = {
    {"", ""},
    {"Content-Type", "content-type"},
    {"Date", "date"},
    {"Last-Modified", "last-modified"},
    {"ETag", "etag"},
    {"Cache-Control", "cache-control"},
    {"Expires", "expires"},
    {"Vary", "vary"},
    {"Content-Encoding", "content-encoding"},
    {"Location", "location"},
    {"Content-Language", "content-language"},
    {"Access-Control-Allow-Origin", "access-control-allow-origin"},
    {"X-Content-Type-Options", "x-content-type-options"},
    {"Link", "link"},
    {"X-Frame-Options", "x-frame-options"},
    {"Strict-Transport-Security", "strict-transport-security"},
    {"Content-Location", "content-location"},
    {"Refresh", "refresh"},
    {"WWW-Authenticate", "www-authenticate"},
    {"Accept-Ranges", "accept-ranges"},
    {"Referrer-Policy", "referrer-policy"},
    {"Set-Cookie", "set-cookie"},
    {"Server", "server"},
    {"Content-Disposition", "content-disposition"},
    {"Content-Security-Policy", "content-security-policy"},
    {"X-Request-ID", "x-request-id"},
    {"Pragma", "pragma"},
    {"Age", "age"},
};
static_assert(sizeof(kNames) / sizeof(kNames[0]) == static_cast<size_t>(Known::kCount));

constexpr size_t kLongestName = 32;

// Names of one length are chained, so that a name is compared with few.
struct ByLength {
    uint8_t first[kLongestName + 1] = {};
    uint8_t next[static_cast<size_t>(Known::kCount)] = {};
    constexpr ByLength() noexcept {
        for (uint8_t i = static_cast<uint8_t>(Known::kCount) - 1; i > 0; i--) {
            next[i] = first[kNames[i].name.size()];
            first[kNames[i].name.size()] = i;
        }
    }
};
constexpr ByLength kByLength;

constexpr uint8_t kFormMask = 0xC0;
constexpr uint8_t kTableForm = 0x00;
constexpr uint8_t kLiteralForm = 0x40;
constexpr uint8_t kLowcaseForm = 0x80;
static_assert(static_cast<size_t>(Known::kCount) <= 0x40);

// Names are replayed in the spelling they came in.
uint8_t form_of(Known id, Bytes name) noexcept {
    const Name& n = kNames[static_cast<size_t>(id)];
    if (id != Known::kOther && n.name == name) {
        return kTableForm;
    }
    return id != Known::kOther && n.lowcase == name ? kLowcaseForm : kLiteralForm;
}

bool take(Bytes* rest, size_t n, Bytes* out) noexcept {
    if (rest->size() < n) {
        return false;
    }
    *out = base::slice(*rest, 0, n);
    *rest = base::slice(*rest, n);
    return true;
}

bool take_length(Bytes* rest, size_t* n) noexcept {
    Bytes two;
    if (!take(rest, 2, &two)) {
        return false;
    }
    *n = static_cast<size_t>(static_cast<unsigned char>(two[0])) << 8 | static_cast<unsigned char>(two[1]);
    return true;
}

}  // namespace

Known known(Bytes name) noexcept {
    uint8_t i = name.size() <= kLongestName ? kByLength.first[name.size()] : 0;
    while (i != 0 && !base::equal_nocase(kNames[i].name, name)) {
        i = kByLength.next[i];
    }
    return static_cast<Known>(i);  // 0 is kOther
}

bool decode_facts(Bytes head, HeadFixed* out) noexcept {
    if (head.size() < kHeadFixedBytes) {
        return false;
    }
    HeadWire wire;
    std::memcpy(&wire, head.data(), sizeof(wire));
    out->status = wire.status;
    out->field_count = wire.field_count;
    out->content_type_len = wire.content_type_len;
    out->last_modified = wire.last_modified == kNoTime ? -1 : int64_t{wire.last_modified};
    out->facts = {wire.fresh_until,
                  wire.stale_while_until,
                  wire.stale_if_error_until,
                  wire.born_at + kBornEpoch,
                  wire.date,
                  wire.fact_flags,
                  wire.status,
                  0};
    return wire.version == kHeadVersion && wire.status >= 100 && wire.status <= 999;
}

bool next_field(Bytes* rest, StoredField* out) noexcept {
    Bytes id;
    if (!take(rest, 1, &id)) {
        return false;
    }
    const auto byte = static_cast<unsigned char>(id[0]);
    const size_t index = byte & ~kFormMask & 0xFF;
    if (index >= static_cast<size_t>(Known::kCount)) {
        return false;
    }
    out->id = static_cast<Known>(index);
    out->lowcase = kNames[index].lowcase;
    out->name = (byte & kFormMask) == kLowcaseForm ? kNames[index].lowcase : kNames[index].name;
    if ((byte & kFormMask) == kLiteralForm) {
        Bytes length;
        if (!take(rest, 1, &length)) {
            return false;
        }
        const auto n = static_cast<unsigned char>(length[0]);
        if (!take(rest, n, &out->name) || !take(rest, n, &out->lowcase)) {
            return false;
        }
    }
    size_t n = 0;
    return take_length(rest, &n) && take(rest, n, &out->value);
}

bool decode_head(Bytes head, StoredResponse* out) noexcept {
    HeadFixed fixed;
    if (!decode_facts(head, &fixed)) {
        return false;
    }
    out->status = fixed.status;
    out->content_type_len = fixed.content_type_len;
    out->last_modified_time = fixed.last_modified;
    out->facts = fixed.facts;
    out->fields = base::slice(head, kHeadFixedBytes);
    out->field_count = fixed.field_count;
    Bytes rest = out->fields;
    for (uint16_t i = 0; i < fixed.field_count; i++) {
        StoredField field;
        if (!next_field(&rest, &field)) {
            return false;
        }
        switch (field.id) {
        case Known::kETag:
            out->etag = field.value;
            break;
        case Known::kLastModified:
            out->last_modified = field.value;
            break;
        case Known::kContentType:
            out->content_type = field.value;
            break;
        case Known::kDate:
            out->date = field.value;
            break;
        case Known::kVary:
            out->vary = field.value;
            break;
        default:
            break;
        }
    }
    return rest.empty() && out->content_type_len <= out->content_type.size();
}

HeadBuilder::HeadBuilder(char* buffer, size_t capacity) noexcept
    : buffer_(buffer), capacity_(capacity), size_(kHeadFixedBytes) {
    overflowed_ = capacity < kHeadFixedBytes;
}

void HeadBuilder::add(Bytes name, Bytes value) noexcept {
    const Known id = known(name);
    const uint8_t form = form_of(id, name);
    const bool literal = form == kLiteralForm;
    const size_t need = 1 + (literal ? 1 + 2 * name.size() : 0) + 2 + value.size();
    if (overflowed_ || capacity_ - size_ < need || value.size() > 0xFFFF ||
        (literal && (name.empty() || name.size() > 0xFF))) {
        overflowed_ = true;
        return;
    }
    char* p = buffer_ + size_;
    size_ += need;
    *p++ = static_cast<char>(form | static_cast<uint8_t>(id));
    if (literal) {
        *p++ = static_cast<char>(name.size());
        std::memcpy(p, name.data(), name.size());
        p += name.size();
        for (char c : name) {
            *p++ = base::lower(c);
        }
    }
    *p++ = static_cast<char>(value.size() >> 8);
    *p++ = static_cast<char>(value.size() & 0xFF);
    if (!value.empty()) {
        std::memcpy(p, value.data(), value.size());
    }
    if (id == Known::kContentType) {
        size_t n = value.find(';');
        n = n == Bytes::npos ? value.size() : n;
        while (n > 0 && value[n - 1] == ' ') {
            n--;
        }
        content_type_len_ = static_cast<uint16_t>(n);
    }
    count_++;
}

bool HeadBuilder::finish(uint16_t status, int64_t last_modified, const http::StoredFacts& facts) noexcept {
    if (overflowed_) {
        return false;
    }
    const bool has_time = last_modified >= 0 && last_modified < kNoTime;
    const HeadWire wire = {kHeadVersion,
                           static_cast<uint8_t>(facts.flags),
                           status,
                           count_,
                           content_type_len_,
                           saturate(facts.fresh_until),
                           saturate(facts.stale_while_until),
                           saturate(facts.stale_if_error_until),
                           saturate(http::subtract_saturated(facts.born_at, kBornEpoch)),
                           saturate(facts.date),
                           has_time ? static_cast<uint32_t>(last_modified) : kNoTime};
    std::memcpy(buffer_, &wire, sizeof(wire));
    return true;
}

}  // namespace slab_cache::cache
