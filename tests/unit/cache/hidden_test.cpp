// What stands for a value that must not be shown.
#include "cache/hidden.h"

#include <gtest/gtest.h>

#include <string>

#include "cache/key.h"

namespace slab_cache::cache {
namespace {

const std::string kSecretText(kSecretBytes, 's');
const auto* kSecret = reinterpret_cast<const uint8_t*>(kSecretText.data());

std::string hidden(Bytes value) {
    char text[64];
    http::Output out(text, sizeof(text));
    put_hidden(&out, value, kSecret);
    return {text, out.length()};
}

std::string hidden_cookie(Bytes line) {
    char text[128];
    http::Output out(text, sizeof(text));
    put_hidden_cookie(&out, line, kSecret);
    return {text, out.length()};
}

TEST(Hidden, is_the_same_for_the_same_value_and_another_for_another) {
    EXPECT_EQ(hidden("a=b").size(), kHiddenBytes);
    EXPECT_EQ(hidden("a=b"), hidden("a=b"));
    EXPECT_NE(hidden("a=b"), hidden("a=c"));
    EXPECT_EQ(hidden(""), "");
}

TEST(HiddenCookie, keeps_name_and_attributes) {
    EXPECT_EQ(hidden_cookie("sid=secret; Path=/; HttpOnly"), "sid=" + hidden("secret") + "; Path=/; HttpOnly");
    EXPECT_EQ(hidden_cookie("sid=secret"), "sid=" + hidden("secret"));
    EXPECT_EQ(hidden_cookie("secret; Path=/"), hidden("secret") + "; Path=/");
    EXPECT_EQ(hidden_cookie("sid="), "sid=");
}

}  // namespace
}  // namespace slab_cache::cache
