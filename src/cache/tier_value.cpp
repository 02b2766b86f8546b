#include "cache/tier_value.h"

#include "cache/push_request.h"
#include "http/syntax.h"

namespace slab_cache::cache {
namespace {

constexpr Bytes kOwnPrefix = "Slab-";
constexpr Bytes kPosition = "Slab-Position";
constexpr Bytes kKey = "Slab-Key";
constexpr Bytes kIdentity = "Slab-Identity";
constexpr Bytes kBorn = "Slab-Born";
constexpr Bytes kVary = "Slab-Vary";
constexpr uint16_t kMarkerStatus = 200;
constexpr size_t kStatusDigits = 3;

// HTAB and what is printed, and what older programs send beyond ASCII (RFC 9110 §5.5).
bool is_value_char(char c) noexcept { return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 0x7F); }

bool is_field_value(Bytes value) noexcept {
    for (const char c : value) {
        if (!is_value_char(c)) {
            return false;
        }
    }
    return true;
}

// Takes a line off `rest`, without its end. False where there is no end.
bool take_line(Bytes* rest, Bytes* line) noexcept {
    const size_t end = rest->find('\n');
    if (end == Bytes::npos) {
        return false;
    }
    *line = base::slice(*rest, 0, end);
    *rest = base::slice(*rest, end + 1);
    if (base::ends_with(*line, "\r")) {
        *line = base::slice(*line, 0, line->size() - 1);
    }
    return true;
}

// "HTTP/1.1 200 OK"; the phrase, and the blank before it, may be missing.
bool read_status_line(Bytes line, uint16_t* status) noexcept {
    constexpr Bytes kVersions[] = {"HTTP/1.1 ", "HTTP/1.0 "};
    if (!base::starts_with(line, kVersions[0]) && !base::starts_with(line, kVersions[1])) {
        return false;
    }
    const Bytes code = base::slice(line, kVersions[0].size(), kStatusDigits);
    const Bytes phrase = base::slice(line, kVersions[0].size() + kStatusDigits);
    return http::read_pushed_status(code, status) && (phrase.empty() || phrase.front() == ' ') &&
           is_field_value(phrase);
}

bool has_no_body(uint16_t status) noexcept { return status == 204 || status == 205 || status == 304; }

// Content-Length, with all that it was said to be.
struct Length {
    bool is_there = false;
    bool is_sound = true;
    uint64_t bytes = 0;

    void add(Bytes value) noexcept {
        uint64_t n = 0;
        is_sound = is_sound && parse_number(value, &n) && (!is_there || n == bytes);
        is_there = true;
        bytes = n;
    }
};

struct Reading {
    TierValue* out;
    Length length;
    bool has_born = false;
    int64_t born = 0;
};

// Of several the older one: less is claimed. One that is no id claims nothing, whatever the others do.
void add_position(Reading* r, Bytes value) noexcept {
    StreamId id;
    if (!parse_stream_id(value, &id)) {
        id = {};
    }
    r->out->position = !r->out->has_position || id < r->out->position ? id : r->out->position;
    r->out->has_position = true;
}

bool add_born(Reading* r, Bytes value) noexcept {
    uint64_t n = 0;
    if (!parse_number(value, &n) || n > INT64_MAX) {
        return false;
    }
    const auto sec = static_cast<int64_t>(n);
    r->born = !r->has_born || sec < r->born ? sec : r->born;
    r->has_born = true;
    return true;
}

// Text that must be the same where it is there twice.
bool add_text(Bytes* to, Bytes value) noexcept {
    const bool is_sound = !value.empty() && (to->empty() || *to == value);
    *to = value;
    return is_sound;
}

bool add_spec(TierValue* out, Bytes spec) noexcept {
    if (spec.empty() || out->specs == kMaxTierSpecs) {
        return false;
    }
    out->spec[out->specs++] = spec;
    return true;
}

bool add_own(Reading* r, Bytes name, Bytes value) noexcept {
    if (base::equal_nocase(name, kPosition)) {
        add_position(r, value);
        return true;
    }
    if (base::equal_nocase(name, kKey)) {
        return add_text(&r->out->key, value);
    }
    if (base::equal_nocase(name, kIdentity)) {
        return add_text(&r->out->identity, value);
    }
    if (base::equal_nocase(name, kVary)) {
        return add_spec(r->out, value);
    }
    return !base::equal_nocase(name, kBorn) || add_born(r, value);
}

ValueFault add_field(Reading* r, Bytes line) noexcept {
    const size_t colon = line.find(':');
    const Bytes name = base::slice(line, 0, colon);
    const Bytes value = colon == Bytes::npos ? Bytes{} : http::trim(base::slice(line, colon + 1));
    if (colon == Bytes::npos || !http::is_token(name) || !is_field_value(value)) {
        return ValueFault::kField;
    }
    if (base::equal_nocase(base::slice(name, 0, kOwnPrefix.size()), kOwnPrefix)) {
        return add_own(r, name, value) ? ValueFault::kNone : ValueFault::kField;
    }
    if (base::equal_nocase(name, "Transfer-Encoding")) {
        return ValueFault::kTransfer;
    }
    if (base::equal_nocase(name, "Content-Length")) {
        r->length.add(value);
        return ValueFault::kNone;
    }
    TierValue* out = r->out;
    if (out->fields_used == kMaxTierFields) {
        return ValueFault::kTooLarge;
    }
    out->field[out->fields_used++] = {name, value};
    out->names |= http::name_bit(name);
    return ValueFault::kNone;
}

ValueFault read_fields(Reading* r, Bytes* rest) noexcept {
    const size_t from = rest->size();
    for (Bytes line; from - rest->size() <= kMaxTierHead;) {
        if (!take_line(rest, &line)) {
            return rest->size() > kMaxTierHead ? ValueFault::kTooLarge : ValueFault::kNoEnd;
        }
        if (line.empty()) {
            return ValueFault::kNone;
        }
        if (const ValueFault fault = add_field(r, line); fault != ValueFault::kNone) {
            return fault;
        }
    }
    return ValueFault::kTooLarge;
}

bool is_length_right(const Reading& r) noexcept {
    const uint64_t bytes = r.out->body.size();
    return r.length.is_sound && (!r.length.is_there || r.length.bytes == bytes) &&
           (bytes == 0 || !has_no_body(r.out->status));
}

// Age as it is now takes the place of what the writer said.
void set_age(TierValue* out, int64_t born, int64_t now) noexcept {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < out->fields_used; i++) {
        if (!base::equal_nocase(out->field[i].name, "Age")) {
            out->field[kept++] = out->field[i];
        }
    }
    const int64_t age = now > born ? http::subtract_saturated(now, born) : 0;
    const char* end = base::put_decimal(out->age, static_cast<uint64_t>(age));
    out->field[kept++] = {"Age", {out->age, static_cast<size_t>(end - out->age)}};
    out->names |= http::name_bit("Age");
    out->fields_used = kept;
}

// A message as far as it is written. Something that no field can have in it makes it none.
class Message {
public:
    Message(char* to, size_t capacity) noexcept : out_(to, capacity) {}

    void status(uint16_t status) noexcept {
        out_.put("HTTP/1.1 ");
        out_.put_number(status);
        out_.put(" \r\n");
    }
    void field(Bytes name, Bytes value) noexcept {
        is_sound_ = is_sound_ && http::is_token(name) && is_field_value(value);
        for (const Bytes piece : {name, Bytes(": "), value, Bytes("\r\n")}) {
            out_.put(piece);
        }
    }
    size_t end() noexcept {
        out_.put("\r\n");
        return is_sound_ ? out_.length() : 0;
    }

private:
    http::Output out_;
    bool is_sound_ = true;
};

}  // namespace

const char* fault_sentence(ValueFault fault) noexcept {
    switch (fault) {
    case ValueFault::kNone:
        return "";
    case ValueFault::kEmpty:
        return "it is empty";
    case ValueFault::kStatus:
        return "its first line is not like \"HTTP/1.1 200 OK\", with a status from 200 to 599";
    case ValueFault::kField:
        return "a line of its head is no field";
    case ValueFault::kTooLarge:
        return "its head has more than 64 KB or 256 fields";
    case ValueFault::kNoEnd:
        return "no empty line ends its head";
    case ValueFault::kLength:
        return "its Content-Length is not its body's, or its status has no body";
    case ValueFault::kTransfer:
        return "it has a Transfer-Encoding";
    }
    return "";
}

ValueFault read_tier_value(Bytes value, int64_t now, TierValue* out) noexcept {
    if (value.empty()) {
        return ValueFault::kEmpty;
    }
    Reading r{out, {}};
    Bytes line;
    if (!take_line(&value, &line) || !read_status_line(line, &out->status)) {
        return ValueFault::kStatus;
    }
    if (const ValueFault fault = read_fields(&r, &value); fault != ValueFault::kNone) {
        return fault;
    }
    out->body = value;
    if (!is_length_right(r)) {
        return ValueFault::kLength;
    }
    if (r.has_born) {
        set_age(out, r.born, now);
    }
    return ValueFault::kNone;
}

size_t write_tier_head(const TierHead& head, char* to, size_t capacity) noexcept {
    Message out(to, capacity);
    out.status(head.response->status);
    Bytes rest = head.response->fields;
    for (uint16_t i = 0; i < head.response->field_count; i++) {
        StoredField field;
        if (!next_field(&rest, &field)) {
            return 0;
        }
        if (field.name.empty() || field.name.front() != ':') {  // else a word of ours (ngx/request/controls.h)
            out.field(field.name, field.value);
        }
    }
    for (uint32_t i = 0; i < head.more_count; i++) {
        out.field(head.more[i].name, head.more[i].value);
    }
    out.field(kKey, head.key);
    if (!head.identity.empty()) {
        out.field(kIdentity, head.identity);
    }
    if (head.position) {
        out.field(kPosition, StreamIdText(head.position).view());
    }
    if (head.born > 0) {
        out.field(kBorn, NumberText(static_cast<uint64_t>(head.born)).view());
    }
    return out.end();
}

size_t write_tier_marker(Bytes key, const Bytes* spec, uint32_t specs, char* to, size_t capacity) noexcept {
    Message out(to, capacity);
    out.status(kMarkerStatus);
    out.field(kKey, key);
    for (uint32_t i = 0; i < specs && i < kMaxTierSpecs; i++) {
        out.field(kVary, spec[i]);
    }
    return out.end();
}

}  // namespace slab_cache::cache
