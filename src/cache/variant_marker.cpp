#include "cache/variant_marker.h"

#include "cache/key.h"

namespace slab_cache::cache {
namespace {

constexpr size_t kDigestBytes = sizeof(shm::Digest);
static_assert(kDigestBytes == 16);

}  // namespace

shm::Digest Marker::variant(uint32_t i) const noexcept {
    shm::Digest d;
    std::memcpy(&d, variants.data() + size_t{i} * kDigestBytes, kDigestBytes);
    return d;
}

bool decode_marker(Bytes head, Marker* out) noexcept {
    if (head.size() < 2) {
        return false;
    }
    out->spec_count = static_cast<unsigned char>(head[0]);
    out->variant_count = static_cast<unsigned char>(head[1]);
    if (out->spec_count == 0 || out->spec_count > kMaxSpecs) {
        return false;
    }
    Bytes rest = base::slice(head, 2);
    for (uint32_t i = 0; i < out->spec_count; i++) {
        if (rest.size() < 2) {
            return false;
        }
        const size_t n =
            static_cast<size_t>(static_cast<unsigned char>(rest[0])) << 8 | static_cast<unsigned char>(rest[1]);
        if (rest.size() - 2 < n) {
            return false;
        }
        out->spec[i] = base::slice(rest, 2, n);
        rest = base::slice(rest, 2 + n);
    }
    out->variants = rest;
    return rest.size() == out->variant_count * kDigestBytes;
}

bool marker_knows(const Marker& marker, Bytes spec, const shm::Digest& variant) noexcept {
    if (marker.spec_count == 0 || marker.spec[0] != spec) {
        return false;
    }
    for (uint32_t i = 0; i < marker.variant_count; i++) {
        if (marker.variant(i) == variant) {
            return true;
        }
    }
    return false;
}

size_t encode_marker(const Marker& old, Bytes spec, const shm::Digest& variant, uint32_t max, char* out,
                     size_t capacity, Dropped* dropped) noexcept {
    if (spec.size() > 0xFFFF || max == 0) {
        return 0;
    }
    Bytes specs[kMaxSpecs] = {spec};
    uint32_t spec_count = 1;
    size_t need = 2 + 2 + spec.size();
    for (uint32_t i = 0; i < old.spec_count && spec_count < kMaxSpecs; i++) {
        if (old.spec[i] != spec) {
            specs[spec_count++] = old.spec[i];
            need += 2 + old.spec[i].size();
        }
    }
    max = max < kMaxVariants ? max : kMaxVariants;
    shm::Digest keep[kMaxVariants + 1];
    uint32_t n = 0;
    for (uint32_t i = 0; i < old.variant_count; i++) {
        if (!(old.variant(i) == variant)) {
            keep[n++] = old.variant(i);
        }
    }
    keep[n++] = variant;
    const uint32_t skip = n > max ? n - max : 0;
    for (uint32_t i = 0; i < skip; i++) {
        dropped->digest[dropped->count++] = keep[i];
    }
    need += (n - skip) * kDigestBytes;
    if (need > capacity) {
        return 0;
    }
    char* p = out;
    *p++ = static_cast<char>(spec_count);
    *p++ = static_cast<char>(n - skip);
    for (uint32_t i = 0; i < spec_count; i++) {
        *p++ = static_cast<char>(specs[i].size() >> 8);
        *p++ = static_cast<char>(specs[i].size() & 0xFF);
        if (!specs[i].empty()) {  // the old marker is input: no memcpy() of nullptr
            std::memcpy(p, specs[i].data(), specs[i].size());
            p += specs[i].size();
        }
    }
    std::memcpy(p, keep + skip, (n - skip) * kDigestBytes);
    return need;
}

bool variant_key(base::Arena arena, Bytes primary, Bytes spec, const http::Fields& request,
                 const http::VaryPolicy& policy, Bytes* out) noexcept {
    char small[256];
    const size_t need = http::build_vary_key(spec, request, policy, small, sizeof(small));
    const size_t size = primary.size() + kVariantMarkBytes + spec.size() + need;
    if (size > 2 * kMaxKeyBytes) {
        return false;
    }
    char* data = arena.get(size);
    if (data == nullptr) {
        return false;
    }
    char* p = data;
    std::memcpy(p, primary.data(), primary.size());
    p += primary.size();
    put_variant_mark(p, spec.size());
    p += kVariantMarkBytes;
    std::memcpy(p, spec.data(), spec.size());
    p += spec.size();
    if (need <= sizeof(small)) {
        std::memcpy(p, small, need);
    } else {
        (void) http::build_vary_key(spec, request, policy, p, need);
    }
    *out = {data, size};
    return true;
}

}  // namespace slab_cache::cache
