// Three lines: Authorization, target, body. It is never let in but with the one right signature; that one is, until it
// expires, for this request and no other.
#include <string>

#include "cache/token.h"
#include "fuzz/fuzz.h"

using namespace slab_cache;
using namespace slab_cache::cache;

namespace {

constexpr Bytes kSecret = "0123456789abcdef0123456789abcdef";
constexpr int64_t kNow = 1'800'000'000;

TokenVerdict judge(const std::string& token, const SignedRequest& request, int64_t now) {
    return check_token(token, kSecret, request, now);
}

// What a client that knows the secret makes of an expiry.
void check_signed(Bytes expiry, const SignedRequest& request) {
    char hex[kMacHexBytes];
    http::check(sign_request(kSecret, request, expiry, hex));
    std::string token = "SlabCache " + std::string(expiry) + ":" + std::string(hex, sizeof(hex));
    const TokenVerdict now = judge(token, request, kNow);
    http::check(now != TokenVerdict::kWrong);
    if (now == TokenVerdict::kMalformed) {
        return;
    }
    const std::string more = std::string(request.target) + "x";
    http::check(judge(token, {request.method, more, request.body}, kNow) == TokenVerdict::kWrong);
    http::check(judge(token, {request.method, request.target, more}, kNow) == TokenVerdict::kWrong ||
                more == request.body);
    http::check(check_token(token, "another secret, long enough", request, kNow) == TokenVerdict::kWrong);
    http::check(check_token(token, "short", request, kNow) == TokenVerdict::kWrong);
    token.back() = token.back() == '0' ? '1' : '0';
    http::check(judge(token, request, kNow) == TokenVerdict::kWrong);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::vector<http::Field> lines = http::lines_of(http::input(data, size), "");
    if (lines.size() < 3) {
        return 0;
    }
    const Bytes authorization = lines[0].value;
    const SignedRequest request{"POST", lines[1].value, lines[2].value};
    const TokenVerdict verdict = check_token(authorization, kSecret, request, kNow);
    http::check(is_token(authorization) || verdict == TokenVerdict::kMalformed);
    const Bytes token = base::slice(authorization, 10);
    const Bytes expiry = base::slice(token, 0, token.find(':'));
    if (verdict == TokenVerdict::kGood) {
        char hex[kMacHexBytes];
        http::check(sign_request(kSecret, request, expiry, hex) &&
                    base::slice(token, expiry.size() + 1) == Bytes(hex, sizeof(hex)));
    }
    check_signed(expiry, request);
    check_signed("1800000100", request);
    http::check(check_token(authorization, {}, request, kNow) != TokenVerdict::kGood);
    return 0;
}
