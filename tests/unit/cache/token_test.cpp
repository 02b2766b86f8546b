// Signed requests.
#include "cache/token.h"

#include <gtest/gtest.h>

#include <string>

namespace slab_cache::cache {
namespace {

constexpr int64_t kNow = 1'800'000'000;
constexpr Bytes kSecret = "0123456789abcdef0123456789abcdef";
constexpr SignedRequest kRequest = {"POST", "/_cache/v1/zones/one/purge", R"({"all":true})"};

std::string token(const SignedRequest& request = kRequest, int64_t expiry = kNow + 60, Bytes secret = kSecret) {
    char hex[kMacHexBytes];
    EXPECT_TRUE(sign_request(secret, request, std::to_string(expiry), hex));
    return "SlabCache " + std::to_string(expiry) + ":" + std::string(hex, sizeof(hex));
}

TEST(Token, is_the_hmac_that_other_tools_compute) {
    // printf 'POST\n/x\n1800000000\n%s' "$(printf body | sha256sum | cut -c1-64)" | openssl dgst -sha256 -hmac 0123456789abcdef
    char hex[kMacHexBytes];
    ASSERT_TRUE(sign_request("0123456789abcdef", {"POST", "/x", "body"}, "1800000000", hex));
    EXPECT_EQ(std::string(hex, sizeof(hex)), "cb90e81077178789452e1e4f673fb6f3ce047b87e195b2017357f39fff01e1e3");
}

TEST(Token, of_the_same_request_before_its_expiry_is_good) {
    EXPECT_EQ(check_token(token(), kSecret, kRequest, kNow), TokenVerdict::kGood);
    EXPECT_EQ(check_token(token(), kSecret, kRequest, kNow + 60), TokenVerdict::kGood);
}

TEST(Token, is_wrong_for_other_fields) {
    SignedRequest with = kRequest;
    with.fields = "\nsurrogate-key:red";
    EXPECT_EQ(check_token(token(with), kSecret, with, kNow), TokenVerdict::kGood);
    EXPECT_EQ(check_token(token(with), kSecret, kRequest, kNow), TokenVerdict::kWrong);
    EXPECT_EQ(check_token(token(), kSecret, with, kNow), TokenVerdict::kWrong);
}

TEST(Token, is_wrong_for_any_other_request) {
    const std::string t = token();
    EXPECT_EQ(check_token(t, kSecret, {"PUT", kRequest.target, kRequest.body}, kNow), TokenVerdict::kWrong);
    EXPECT_EQ(check_token(t, kSecret, {"POST", "/_cache/v1/zones/two/purge", kRequest.body}, kNow),
              TokenVerdict::kWrong);
    EXPECT_EQ(check_token(t, kSecret, {"POST", kRequest.target, "{}"}, kNow), TokenVerdict::kWrong);
    EXPECT_EQ(check_token(t, kSecret, {"POST", kRequest.target, ""}, kNow), TokenVerdict::kWrong);
}

TEST(Token, is_wrong_under_another_secret) {
    EXPECT_EQ(check_token(token(), "another secret of 32 bytes ......", kRequest, kNow), TokenVerdict::kWrong);
}

TEST(Token, of_a_secret_that_is_too_short_is_wrong) {
    EXPECT_EQ(check_token(token(kRequest, kNow + 60, "short"), "short", kRequest, kNow), TokenVerdict::kWrong);
}

TEST(Token, expires) {
    EXPECT_EQ(check_token(token(kRequest, kNow - 1), kSecret, kRequest, kNow), TokenVerdict::kExpired);
}

TEST(Token, must_not_live_for_longer_than_an_hour) {
    EXPECT_EQ(check_token(token(kRequest, kNow + kTokenLifeSec + 1), kSecret, kRequest, kNow), TokenVerdict::kTooFar);
    EXPECT_EQ(check_token(token(kRequest, kNow + kTokenLifeSec), kSecret, kRequest, kNow), TokenVerdict::kGood);
}

TEST(Token, with_another_expiry_than_the_signed_one_is_wrong) {
    std::string t = token();
    t[t.find(':') - 1] = '9';
    EXPECT_EQ(check_token(t, kSecret, kRequest, kNow), TokenVerdict::kWrong);
}

TEST(Token, each_changed_digit_of_the_signature_is_wrong) {
    const std::string good = token();
    for (size_t i = good.find(':') + 1; i < good.size(); i++) {
        std::string t = good;
        t[i] = t[i] == '0' ? '1' : '0';
        EXPECT_EQ(check_token(t, kSecret, kRequest, kNow), TokenVerdict::kWrong) << i;
    }
}

TEST(Token, that_has_another_form_is_malformed) {
    const std::string good = token();
    for (const std::string& t :
         {std::string(), std::string("SlabCache "), std::string("SlabCache :"), good.substr(0, good.size() - 1),
          good + "0", "Bearer " + good.substr(10), std::string("SlabCache -1:") + std::string(64, '0'),
          std::string("SlabCache 1234567890123:") + std::string(64, '0'),
          std::string("SlabCache ") + std::string(64, '0'),
          "SlabCache " + std::string(40, '9') + ":" + std::string(64, '0')}) {
        EXPECT_EQ(check_token(t, kSecret, kRequest, kNow), TokenVerdict::kMalformed) << t;
    }
}

TEST(Token, is_told_from_other_schemes) {
    EXPECT_TRUE(is_token("SlabCache 1:2"));
    EXPECT_TRUE(is_token("slabcache 1:2"));
    EXPECT_FALSE(is_token("Basic SlabCache "));
    EXPECT_FALSE(is_token("SlabCache"));
    EXPECT_FALSE(is_token(""));
}

}  // namespace
}  // namespace slab_cache::cache
