#include "cache/tier_key.h"

#include <openssl/evp.h>

#include "cache/key.h"
#include "http/syntax.h"
#include "http/vary.h"

namespace slab_cache::cache {
namespace {

constexpr size_t kSha256Bytes = 32;
constexpr size_t kHexBytes = 2 * kSha256Bytes;
constexpr char kDigit[] = "0123456789abcdef";
constexpr char kEscapeDigit[] = "0123456789ABCDEF";
constexpr Bytes kKeyMark = "key:";
constexpr Bytes kVaryMark = "vary:";
constexpr Bytes kLeaseMark = "lease:";
static_assert(kMaxTierPrefix + kVaryMark.size() + kHexBytes <= kMaxPlainStoreKey);
static_assert(kMaxPlainStoreKey + kLeaseMark.size() <= sizeof(StoreKey::text));

constexpr bool is_printable(char c) noexcept { return c > ' ' && c < 0x7F; }

bool is_all_printable(Bytes text) noexcept {
    for (const char c : text) {
        if (!is_printable(c)) {
            return false;
        }
    }
    return true;
}

// What URLs have for a host and a port. A '/' in it would be the path's beginning.
bool is_plain_authority(Bytes authority) noexcept {
    for (const char c : authority) {
        if (!http::is_alpha(c) && !http::is_digit(c) && Bytes("-._~[]:").find(c) == Bytes::npos) {
            return false;
        }
    }
    return !authority.empty();
}

bool sha256_hex(Bytes bytes, char* hex) noexcept {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) != 1 || size != kSha256Bytes) {
        return false;
    }
    for (size_t i = 0; i < kSha256Bytes; i++) {
        hex[2 * i] = kDigit[digest[i] >> 4];
        hex[2 * i + 1] = kDigit[digest[i] & 15];
    }
    return true;
}

// A key's parts, one after the other.
struct KeyPart {
    Bytes bytes;
    bool is_hidden = false;
    bool goes_on = false;  // it belongs to the field of the part before
};

bool take_part(Bytes* key, KeyPart* out) noexcept {
    if (key->size() < 2) {
        return false;
    }
    const size_t word =
        static_cast<size_t>(static_cast<unsigned char>((*key)[0])) << 8 | static_cast<unsigned char>((*key)[1]);
    const size_t size = word & ~size_t{kPartHidden | kPartGoesOn};
    if (size > kMaxPartBytes || size > key->size() - 2) {
        return false;
    }
    *out = {base::slice(*key, 2, size), (word & kPartHidden) != 0, (word & kPartGoesOn) != 0};
    *key = base::slice(*key, 2 + size);
    return true;
}

// scheme, authority, uri, and nothing more; false where the second form has to do.
bool url_text(const base::Arena& arena, Bytes key, Bytes* text) noexcept {
    KeyPart part[3];
    for (KeyPart& p : part) {
        if (!take_part(&key, &p) || p.is_hidden || p.goes_on) {
            return false;
        }
    }
    const Bytes scheme = part[0].bytes;
    const Bytes authority = part[1].bytes;
    const Bytes uri = part[2].bytes;
    if (!key.empty() || (scheme != "http" && scheme != "https") || !is_plain_authority(authority) || uri.empty() ||
        uri.front() != '/' || !is_all_printable(uri)) {
        return false;
    }
    const size_t room = scheme.size() + 3 + authority.size() + uri.size();
    char* p = arena.get(room);
    if (p == nullptr) {
        return false;
    }
    http::Output out(p, room);
    for (const Bytes piece : {scheme, Bytes("://"), authority, uri}) {
        out.put(piece);
    }
    *text = {p, room};
    return true;
}

void put_encoded(http::Output* out, Bytes bytes) noexcept {
    for (const char c : bytes) {
        if (is_printable(c) && c != '%' && c != '|' && c != '#') {
            out->put(c);
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out->put('%');
        out->put(kEscapeDigit[byte >> 4]);
        out->put(kEscapeDigit[byte & 15]);
    }
}

bool put_part(http::Output* out, const KeyPart& part) noexcept {
    if (!part.is_hidden) {
        put_encoded(out, part.bytes);
        return true;
    }
    char hex[kHexBytes];
    const bool is_made = sha256_hex(part.bytes, hex);
    out->put('#');
    out->put(is_made ? Bytes{hex, sizeof(hex)} : Bytes{});
    return is_made;
}

bool put_parts(http::Output* out, Bytes key) noexcept {
    out->put(kKeyMark);
    for (bool is_first = true; !key.empty(); is_first = false) {
        KeyPart part;
        if (!take_part(&key, &part)) {
            return false;
        }
        if (!is_first && !part.goes_on) {
            out->put('|');
        }
        if (!put_part(out, part)) {
            return false;
        }
    }
    return true;
}

bool any_text(const base::Arena& arena, Bytes key, Bytes* text) noexcept {
    http::Output counted(nullptr, 0);
    if (!put_parts(&counted, key)) {
        return false;
    }
    const size_t room = counted.length();
    char* p = arena.get(room);
    if (p == nullptr) {
        return false;
    }
    http::Output out(p, room);
    *text = {p, room};
    return put_parts(&out, key);
}

void put(StoreKey* to, Bytes bytes) noexcept {
    if (!bytes.empty()) {
        std::memcpy(to->text + to->size, bytes.data(), bytes.size());
        to->size += bytes.size();
    }
}

bool put_digest(StoreKey* to, Bytes of) noexcept {
    const bool is_made = sha256_hex(of, to->text + to->size);
    to->size += kHexBytes;
    return is_made;
}

constexpr uint32_t rotate(uint32_t x, int by) noexcept { return x << by | x >> (32 - by); }

// MurmurHash3, x86, 32 bits, seed 0, of bytes that come one by one.
class Murmur {
public:
    void add(Bytes bytes) noexcept {
        for (const char c : bytes) {
            word_ |= static_cast<uint32_t>(static_cast<unsigned char>(c)) << (8 * (size_ % 4));
            if (++size_ % 4 == 0) {
                hash_ = rotate(hash_ ^ mixed(), 13) * 5 + 0xe6546b64u;
                word_ = 0;
            }
        }
    }
    uint32_t value() const noexcept {
        uint32_t h = (hash_ ^ mixed()) ^ size_;
        h = (h ^ h >> 16) * 0x85ebca6bu;
        h = (h ^ h >> 13) * 0xc2b2ae35u;
        return h ^ h >> 16;
    }

private:
    uint32_t mixed() const noexcept { return rotate(word_ * 0xcc9e2d51u, 15) * 0x1b873593u; }

    uint32_t hash_ = 0;
    uint32_t word_ = 0;
    uint32_t size_ = 0;
};

}  // namespace

bool is_tier_prefix(Bytes prefix) noexcept { return prefix.size() <= kMaxTierPrefix && is_all_printable(prefix); }

bool tier_text(const base::Arena& arena, Bytes key, bool is_default, Bytes* text) noexcept {
    return (is_default && url_text(arena, key, text)) || any_text(arena, key, text);
}

bool object_store_key(Bytes prefix, Bytes text, StoreKey* out) noexcept {
    out->size = 0;
    put(out, prefix);
    if (prefix.size() + text.size() > kMaxPlainStoreKey) {
        return put_digest(out, text);
    }
    put(out, text);
    return true;
}

bool variant_store_key(const base::Arena& arena, Bytes prefix, Bytes text, Bytes spec, const http::Fields& request,
                       const http::VaryPolicy& policy, StoreKey* out) noexcept {
    const size_t front = text.size() + spec.size() + 2;
    const size_t values = http::build_vary_key(spec, request, policy, nullptr, 0);
    char* p = arena.get(front + values);
    if (p == nullptr) {
        return false;
    }
    http::Output all(p, front);
    all.put(text);
    all.put('\n');
    all.put(spec);
    all.put('\n');
    (void) http::build_vary_key(spec, request, policy, p + front, values);
    out->size = 0;
    put(out, prefix);
    put(out, kVaryMark);
    return put_digest(out, {p, front + values});
}

StoreKey lease_store_key(Bytes prefix, const StoreKey& object) noexcept {
    StoreKey out;
    put(&out, prefix);
    put(&out, kLeaseMark);
    put(&out, base::slice(object.view(), prefix.size()));
    return out;
}

uint32_t tier_server(const Bytes* server, uint32_t count, Bytes store_key) noexcept {
    uint32_t best = 0;
    uint32_t best_score = 0;
    for (uint32_t i = 0; count > 1 && i < count; i++) {
        Murmur score;
        score.add(server[i]);
        score.add("-");
        score.add(store_key);
        const bool wins = score.value() > best_score || (score.value() == best_score && server[i] > server[best]);
        if (i == 0 || wins) {
            best = i;
            best_score = score.value();
        }
    }
    return best;
}

}  // namespace slab_cache::cache
