#include "cache/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace slab_cache::cache {
namespace {

// One letter per kind keeps a tag named "example.com" apart from the host of that name.
enum class Kind : uint64_t { kUrl = 'u', kHost = 'h', kPrefix = 'p', kTag = 't', kGroup = 'g', kInner = 'n' };

uint64_t hash64(Bytes b, const uint8_t* secret) noexcept {
    return XXH3_64bits_withSecret(b.data(), b.size(), secret, kSecretBytes);
}

// Order matters: combine(a, b) != combine(b, a).
uint64_t combine(uint64_t a, uint64_t b) noexcept {
    const uint64_t x = (a ^ (b * 0x9E3779B97F4A7C15ull)) * 0xFF51AFD7ED558CCDull;
    return x ^ (x >> 32);
}

uint64_t finish(Kind kind, uint64_t h) noexcept {
    const uint64_t f = combine(h, static_cast<uint64_t>(kind));
    return f != 0 ? f : 1;  // 0 means "no record" in the purge table
}

uint64_t selector_of(Kind kind, const Url& url, const uint8_t* secret) noexcept {
    uint64_t args = 0;
    Bytes rest = url.args;
    while (!rest.empty()) {
        const size_t end = rest.find('&');
        const Bytes one = base::slice(rest, 0, end);
        if (!one.empty()) {
            args += hash64(one, secret);  // a sum: the order of arguments plays no part
        }
        rest = end == Bytes::npos ? Bytes{} : base::slice(rest, end + 1);
    }
    return finish(kind, combine(combine(hash64(url.host, secret), hash64(url.path, secret)), args));
}

}  // namespace

void KeyBuilder::add(Bytes field, uint16_t marks) noexcept {
    if (field.size() > kMaxPartBytes || overflowed_ || capacity_ - size_ < needed(field.size())) {
        overflowed_ = true;
        return;
    }
    const size_t length = field.size() | marks;
    buffer_[size_++] = static_cast<char>(length >> 8);
    buffer_[size_++] = static_cast<char>(length & 0xFF);
    if (!field.empty()) {
        std::memcpy(buffer_ + size_, field.data(), field.size());
        size_ += field.size();
    }
}

void put_variant_mark(char* out, size_t spec_bytes) noexcept {
    out[0] = out[1] = static_cast<char>(0xFF);
    out[2] = static_cast<char>(spec_bytes >> 8);
    out[3] = static_cast<char>(spec_bytes & 0xFF);
}

Bytes add_slot(char* key, size_t size, uint32_t slot) noexcept {
    key[size] = static_cast<char>(0xFF);
    key[size + 1] = static_cast<char>(0xFE);
    key[size + 2] = static_cast<char>(slot);
    return {key, size + kSlotBytes};
}

uint64_t stable_hash(Bytes part, uint64_t seed) noexcept {
    return combine(XXH3_64bits_withSeed(part.data(), part.size(), seed), seed + 1);
}

uint64_t keyed_hash(Bytes part, uint64_t seed, const uint8_t* secret) noexcept {
    return combine(hash64(part, secret), seed);
}

shm::Digest digest(Bytes key, const uint8_t* secret) noexcept {
    const XXH128_hash_t h = XXH3_128bits_withSecret(key.data(), key.size(), secret, kSecretBytes);
    return {h.high64, h.low64};
}

shm::Digest side_digest(const shm::Digest& object, uint64_t identity) noexcept {
    return {combine(object.hi, identity), combine(object.lo, 0x51DEull)};
}

uint64_t url_selector(const Url& url, const uint8_t* secret) noexcept { return selector_of(Kind::kUrl, url, secret); }

uint64_t inner_url_selector(const Url& url, const uint8_t* secret) noexcept {
    return selector_of(Kind::kInner, url, secret);
}

uint64_t host_selector(Bytes host, const uint8_t* secret) noexcept { return finish(Kind::kHost, hash64(host, secret)); }

uint64_t prefix_selector(Bytes host, Bytes prefix, const uint8_t* secret) noexcept {
    if (prefix.size() <= 1) {
        return host_selector(host, secret);
    }
    return finish(Kind::kPrefix, combine(hash64(host, secret), hash64(prefix, secret)));
}

uint64_t tag_selector(Bytes tag, const uint8_t* secret) noexcept { return finish(Kind::kTag, hash64(tag, secret)); }

uint64_t group_selector(Bytes host, Bytes group, const uint8_t* secret) noexcept {
    return finish(Kind::kGroup, combine(hash64(host, secret), hash64(group, secret)));
}

uint32_t url_selectors(const Url& url, const uint8_t* secret, uint64_t* out, uint32_t capacity, Side side) noexcept {
    uint32_t n = 0;
    if (capacity < 2) {
        return 0;
    }
    out[n++] = side == Side::kInner ? inner_url_selector(url, secret) : url_selector(url, secret);
    out[n++] = host_selector(url.host, secret);
    for (size_t i = 1; i < url.path.size(); i++) {  // the prefix "/" is the host
        if (url.path[i] != '/') {
            continue;
        }
        if (n == capacity) {
            return 0;
        }
        out[n++] = prefix_selector(url.host, base::slice(url.path, 0, i + 1), secret);
    }
    return n;
}

}  // namespace slab_cache::cache
