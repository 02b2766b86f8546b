#include "cache/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <climits>
#include <cstdlib>

namespace slab_cache::cache {
namespace {

constexpr Bytes kScheme = "SlabCache ";
constexpr size_t kHashBytes = 32;
constexpr size_t kMaxExpiryDigits = 12;

void to_hex(const unsigned char* bytes, char* hex) noexcept {
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < kHashBytes; i++) {
        hex[2 * i] = digit[bytes[i] >> 4];
        hex[2 * i + 1] = digit[bytes[i] & 15];
    }
}

struct Message {
    char* data;
    size_t size;

    void add(Bytes part) noexcept {
        if (!part.empty()) {
            std::memcpy(data + size, part.data(), part.size());
            size += part.size();
        }
    }
};

bool read_expiry(Bytes text, int64_t* out) noexcept {
    if (text.empty() || text.size() > kMaxExpiryDigits) {
        return false;
    }
    int64_t n = 0;
    for (char c : text) {
        if (c < '0' || c > '9') {
            return false;
        }
        n = n * 10 + (c - '0');
    }
    *out = n;
    return true;
}

}  // namespace

bool is_token(Bytes authorization) noexcept {
    return base::equal_nocase(base::slice(authorization, 0, kScheme.size()), kScheme);
}

bool sign_request(Bytes secret, const SignedRequest& request, Bytes expiry, char (&hex)[kMacHexBytes]) noexcept {
    unsigned char body[EVP_MAX_MD_SIZE];
    if (secret.size() > INT_MAX ||
        EVP_Digest(request.body.data(), request.body.size(), body, nullptr, EVP_sha256(), nullptr) != 1) {
        return false;
    }
    char body_hex[kMacHexBytes];
    to_hex(body, body_hex);
    const size_t size =
        request.method.size() + request.target.size() + expiry.size() + sizeof(body_hex) + 3 + request.fields.size();
    Message message{static_cast<char*>(std::malloc(size)), 0};
    if (message.data == nullptr) {
        return false;
    }
    message.add(request.method);
    message.add("\n");
    message.add(request.target);
    message.add("\n");
    message.add(expiry);
    message.add("\n");
    message.add({body_hex, sizeof(body_hex)});
    message.add(request.fields);
    unsigned char mac[EVP_MAX_MD_SIZE];
    const bool ok = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                         reinterpret_cast<const unsigned char*>(message.data), message.size, mac, nullptr) != nullptr;
    std::free(message.data);
    to_hex(mac, hex);
    return ok;
}

TokenVerdict check_token(Bytes authorization, Bytes secret, const SignedRequest& request, int64_t now_sec) noexcept {
    const Bytes token = base::slice(authorization, kScheme.size());
    const size_t colon = token.find(':');
    const Bytes expiry_text = base::slice(token, 0, colon);
    const Bytes claimed = colon == Bytes::npos ? Bytes{} : base::slice(token, colon + 1);
    int64_t expiry = 0;
    if (!is_token(authorization) || claimed.size() != kMacHexBytes || !read_expiry(expiry_text, &expiry)) {
        return TokenVerdict::kMalformed;
    }
    char hex[kMacHexBytes];
    if (secret.size() < kMinSecretBytes || !sign_request(secret, request, expiry_text, hex) ||
        CRYPTO_memcmp(hex, claimed.data(), kMacHexBytes) != 0) {
        return TokenVerdict::kWrong;
    }
    // After the signature: who cannot sign learns nothing of our clock.
    if (expiry < now_sec) {
        return TokenVerdict::kExpired;
    }
    return expiry > now_sec + kTokenLifeSec ? TokenVerdict::kTooFar : TokenVerdict::kGood;
}

}  // namespace slab_cache::cache
