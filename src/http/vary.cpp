#include "http/vary.h"

#include "http/syntax.h"

namespace slab_cache::http {

namespace {

constexpr Bytes kAcceptEncoding = "Accept-Encoding";
constexpr Bytes kAcceptLanguage = "Accept-Language";
constexpr Bytes kCookie = "Cookie";

int compare_nocase(Bytes a, Bytes b) noexcept {
    const size_t shorter = a.size() < b.size() ? a.size() : b.size();
    for (size_t i = 0; i < shorter; i++) {
        const int difference =
            static_cast<unsigned char>(base::lower(a[i])) - static_cast<unsigned char>(base::lower(b[i]));
        if (difference != 0) {
            return difference;
        }
    }
    return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

bool is_ignored(Bytes name, const VaryPolicy& policy) noexcept {
    for (uint32_t i = 0; i < policy.ignore_count; i++) {
        if (base::equal_nocase(policy.ignore[i], name)) {
            return true;
        }
    }
    return false;
}

// Names in order, each once.
struct NameSet {
    Bytes names[kMaxVaryNames];
    uint32_t count = 0;

    // False when there is no room.
    bool insert(Bytes name) noexcept {
        uint32_t at = 0;
        while (at < count && compare_nocase(names[at], name) < 0) {
            at++;
        }
        if (at < count && compare_nocase(names[at], name) == 0) {
            return true;
        }
        if (count == kMaxVaryNames) {
            return false;
        }
        for (uint32_t i = count++; i > at; i--) {
            names[i] = names[i - 1];
        }
        names[at] = name;
        return true;
    }
};

// Output that can go back to a length field.
class KeyWriter {
public:
    KeyWriter(char* out, size_t cap) noexcept : data_(out), cap_(cap), out_(out, cap) {}

    void absent() noexcept { out_.put(Bytes{"\0\0\0\0", 4}); }

    size_t begin() noexcept {
        const size_t at = out_.length();
        absent();
        return at;
    }
    void end(size_t at) noexcept {
        if (out_.length() > cap_) {
            return;
        }
        uint64_t length = out_.length() - at - 4 + 1;
        for (size_t i = 0; i < 4; i++, length >>= 8) {
            data_[at + i] = static_cast<char>(length & 0xff);
        }
    }
    Output& out() noexcept { return out_; }

private:
    char* data_;
    size_t cap_;
    Output out_;
};

enum class Fold : bool { kKeepCase, kLowerCase };

void put_folded(Output* out, Bytes text, Fold fold) noexcept {
    if (fold == Fold::kKeepCase) {
        out->put(text);
        return;
    }
    for (const char c : text) {
        out->put(base::lower(c));
    }
}

// The position of the comma that ends the first member, or the end of the text.
size_t member_end(Bytes text) noexcept {
    bool quoted = false;
    for (size_t at = 0; at < text.size(); at++) {
        if (text[at] == '"') {
            quoted = !quoted;
        } else if (quoted && text[at] == '\\') {
            at++;
        } else if (!quoted && text[at] == ',') {
            return at;
        }
    }
    return text.size();
}

void put_line(Output* out, Bytes line, Fold fold) noexcept {
    for (;;) {
        const size_t end = member_end(line);
        put_folded(out, trim(base::slice(line, 0, end)), fold);
        if (end >= line.size()) {
            return;
        }
        out->put(',');
        line = base::slice(line, end + 1);
    }
}

void put_field(KeyWriter* key, const Fields& request, Bytes name, Fold fold) noexcept {
    if (!request.has(name)) {
        key->absent();
        return;
    }
    const size_t at = key->begin();
    bool first = true;
    for (const Field& line : request.lines(name)) {
        if (!first) {
            key->out().put(',');
        }
        first = false;
        put_line(&key->out(), line.value, fold);
    }
    key->end(at);
}

void put_encodings(KeyWriter* key, const Fields& request) noexcept {
    if (!request.has(kAcceptEncoding)) {
        key->absent();
        return;
    }
    const size_t at = key->begin();
    key->out().put(static_cast<char>(accepted_encodings(request)));
    key->end(at);
}

// Bytes that servers drop around a cookie's name, each some others.
bool is_around_name(char c) noexcept {
    return static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7F || c == '"';
}

// Whether some server may take this for that cookie. PHP reads "a.b" and "a b" as "a_b".
bool may_be_named(Bytes name, Bytes wanted) noexcept {
    while (!name.empty() && is_around_name(name[0])) {
        name = base::slice(name, 1);
    }
    while (!name.empty() && is_around_name(name[name.size() - 1])) {
        name = base::slice(name, 0, name.size() - 1);
    }
    if (name.size() != wanted.size()) {
        return false;
    }
    for (size_t i = 0; i < name.size(); i++) {
        const char c = name[i] == '.' || name[i] == ' ' || name[i] == '[' ? '_' : name[i];
        if (c != wanted[i] && name[i] != wanted[i]) {
            return false;
        }
    }
    return true;
}

size_t find_byte(Bytes text, char c) noexcept {
    size_t at = 0;
    while (at < text.size() && text[at] != c) {
        at++;
    }
    return at;
}

// Also behind a comma: old servers take that for a separator.
bool may_hold(Bytes pair, Bytes wanted) noexcept {
    while (!pair.empty()) {
        const size_t end = find_byte(pair, ',');
        const Bytes piece = base::slice(pair, 0, end);
        if (may_be_named(base::slice(piece, 0, find_byte(piece, '=')), wanted)) {
            return true;
        }
        pair = base::slice(pair, end + 1);
    }
    return false;
}

bool is_plain_pair(Bytes pair, Bytes name) noexcept {
    return pair.size() > name.size() && pair[name.size()] == '=' && base::starts_with(pair, name);
}

// The value of the cookie that is there once, as its name is written. Of anything else servers make different things:
// some take the first of two, some the last. Then all pairs stand for it, each behind a ';', which is in no value.
void put_cookie(KeyWriter* key, const Fields& request, Bytes name) noexcept {
    Bytes only;
    uint32_t count = 0;
    size_t at = 0;
    for (const Field& line : request.lines(kCookie)) {
        for (Bytes rest = line.value; !rest.empty();) {
            const size_t end = find_byte(rest, ';');
            const Bytes pair = trim(base::slice(rest, 0, end));
            rest = base::slice(rest, end + 1);
            if (!may_hold(pair, name)) {
                continue;
            }
            if (count++ == 0) {
                only = pair;
                at = key->begin();
                continue;
            }
            if (count == 2) {
                key->out().put(';');
                key->out().put(only);
            }
            key->out().put(';');
            key->out().put(pair);
        }
    }
    if (count == 0) {
        key->absent();
        return;
    }
    if (count == 1) {
        const bool is_plain = is_plain_pair(only, name);
        if (!is_plain) {
            key->out().put(';');
        }
        key->out().put(is_plain ? base::slice(only, name.size() + 1) : only);
    }
    key->end(at);
}

void put_cookies(KeyWriter* key, const Fields& request, const VaryPolicy& policy) noexcept {
    const size_t at = key->begin();
    for (uint32_t i = 0; i < policy.cookie_count; i++) {
        put_cookie(key, request, policy.cookies[i]);
    }
    key->end(at);
}

// "q=0", "q=0.000": not accepted. A weight that is none counts as accepted.
bool is_refused(Bytes parameters) noexcept {
    parameters = trim(parameters);
    if (parameters.size() < 3 || base::lower(parameters[0]) != 'q' || parameters[1] != '=') {
        return false;
    }
    for (const char c : base::slice(parameters, 2)) {
        if (c != '0' && c != '.') {
            return false;
        }
    }
    return true;
}

uint8_t encoding_bit(Bytes coding) noexcept {
    if (base::equal_nocase(coding, "gzip") || base::equal_nocase(coding, "x-gzip")) {
        return kAcceptsGzip;
    }
    if (base::equal_nocase(coding, "br")) {
        return kAcceptsBrotli;
    }
    if (base::equal_nocase(coding, "zstd")) {
        return kAcceptsZstd;
    }
    return base::equal_nocase(coding, "identity") ? kRefusesIdentity : 0;
}

}  // namespace

VarySpec build_vary_spec(const Fields& response, const VaryPolicy& policy, char* out, size_t cap) noexcept {
    NameSet set;
    FieldListReader reader(response, "Vary");
    for (Bytes member; reader.next(&member);) {
        if (member == "*" || !is_token(member)) {
            return {true, 0, false};
        }
        if (!policy.off && !is_ignored(member, policy) && !set.insert(member)) {
            return {true, 0, true};
        }
    }
    Output text(out, cap);
    for (uint32_t i = 0; i < set.count; i++) {
        if (i != 0) {
            text.put(',');
        }
        put_folded(&text, set.names[i], Fold::kLowerCase);
    }
    return {false, text.length(), false};
}

size_t build_vary_key(Bytes spec, const Fields& request, const VaryPolicy& policy, char* out, size_t cap) noexcept {
    KeyWriter key(out, cap);
    while (!spec.empty()) {
        const size_t end = member_end(spec);
        const Bytes name = base::slice(spec, 0, end);
        spec = base::slice(spec, end + 1);
        if (base::equal_nocase(name, kAcceptEncoding)) {
            put_encodings(&key, request);
        } else if (base::equal_nocase(name, kCookie) && policy.cookie_count != 0) {
            put_cookies(&key, request, policy);
        } else {
            const bool folds = base::equal_nocase(name, kAcceptLanguage);
            put_field(&key, request, name, folds ? Fold::kLowerCase : Fold::kKeepCase);
        }
    }
    return key.out().length();
}

bool makes_same_keys(const VaryPolicy& a, const VaryPolicy& b) noexcept {
    bool same = a.cookie_count == b.cookie_count;
    for (uint32_t i = 0; i < a.cookie_count && same; i++) {
        same = a.cookies[i] == b.cookies[i];
    }
    return same;
}

uint8_t accepted_encodings(const Fields& request) noexcept {
    uint8_t named = 0;
    uint8_t accepted = 0;
    bool any = false;          // `*` with q > 0
    bool any_refused = false;  // `*` with q = 0
    FieldListReader reader(request, kAcceptEncoding);
    for (Bytes member; reader.next(&member);) {
        size_t end = 0;
        while (end < member.size() && member[end] != ';') {
            end++;
        }
        const Bytes coding = trim(base::slice(member, 0, end));
        const bool refused = is_refused(base::slice(member, end + 1));
        if (coding == "*") {
            any = any || !refused;
            any_refused = any_refused || refused;
            continue;
        }
        const uint8_t bit = encoding_bit(coding);
        named = static_cast<uint8_t>(named | bit);
        if (!refused) {
            accepted = static_cast<uint8_t>(accepted | bit);
        }
    }
    constexpr uint8_t kCompressed = kAcceptsGzip | kAcceptsBrotli | kAcceptsZstd;
    const unsigned unnamed = any ? static_cast<unsigned>(~named) : 0U;
    const unsigned compressed = (accepted | unnamed) & kCompressed;
    const bool identity_refused = (named & kRefusesIdentity) != 0 ? (accepted & kRefusesIdentity) == 0 : any_refused;
    return static_cast<uint8_t>(compressed | (identity_refused ? kRefusesIdentity : 0U));
}

Bytes encodings_text(uint8_t set) noexcept {
    static constexpr Bytes kTexts[] = {
        "identity",
        "gzip",
        "br",
        "gzip, br",
        "zstd",
        "gzip, zstd",
        "br, zstd",
        "gzip, br, zstd",
        "identity;q=0",
        "gzip, identity;q=0",
        "br, identity;q=0",
        "gzip, br, identity;q=0",
        "zstd, identity;q=0",
        "gzip, zstd, identity;q=0",
        "br, zstd, identity;q=0",
        "gzip, br, zstd, identity;q=0",
    };
    return kTexts[set & 0xF];
}

bool is_known_encoding(Bytes content_encoding) noexcept {
    return content_encoding.empty() || encoding_bit(content_encoding) != 0;
}

bool takes_encoding(const Fields& request, Bytes content_encoding) noexcept {
    const uint8_t bit = encoding_bit(content_encoding);
    return content_encoding.empty() || bit == kRefusesIdentity || (accepted_encodings(request) & bit) != 0;
}

}  // namespace slab_cache::http
