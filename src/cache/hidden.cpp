#include "cache/hidden.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "cache/key.h"

namespace slab_cache::cache {
namespace {

constexpr size_t kShownBytes = (kHiddenBytes - 1) / 2;

}  // namespace

void put_hidden(http::Output* out, Bytes value, const uint8_t* secret) noexcept {
    if (value.empty()) {
        return;
    }
    static const char digit[] = "0123456789abcdef";
    unsigned char mac[EVP_MAX_MD_SIZE] = {};
    unsigned int size = 0;
    const bool ok = HMAC(EVP_sha256(), secret, static_cast<int>(kSecretBytes),
                         reinterpret_cast<const unsigned char*>(value.data()), value.size(), mac, &size) != nullptr;
    out->put('#');
    for (size_t i = 0; i < kShownBytes; i++) {
        out->put(ok ? digit[mac[i] >> 4] : '?');
        out->put(ok ? digit[mac[i] & 15] : '?');
    }
}

void put_hidden_cookie(http::Output* out, Bytes set_cookie, const uint8_t* secret) noexcept {
    const size_t end = set_cookie.find(';');
    const Bytes pair = base::slice(set_cookie, 0, end);
    const size_t equals = pair.find('=');
    if (equals != Bytes::npos) {
        out->put(base::slice(pair, 0, equals + 1));
    }
    put_hidden(out, equals == Bytes::npos ? pair : base::slice(pair, equals + 1), secret);
    if (end != Bytes::npos) {
        out->put(base::slice(set_cookie, end));
    }
}

}  // namespace slab_cache::cache
