// Requests that pages of other origins make.
#include "http/cross_origin.h"

#include <gtest/gtest.h>

namespace slab_cache::http {
namespace {

TEST(Foreign, programs_are_not) { EXPECT_FALSE(is_foreign("", "", "h")); }

TEST(Foreign, is_what_the_browser_says_comes_from_another_site) {
    EXPECT_TRUE(is_foreign("cross-site", "", "h"));
    EXPECT_TRUE(is_foreign("same-site", "http://h", "h"));
    EXPECT_FALSE(is_foreign("same-origin", "", "h"));
    EXPECT_FALSE(is_foreign("none", "", "h"));
}

TEST(Foreign, is_an_origin_of_another_host_or_port) {
    EXPECT_TRUE(is_foreign("", "http://evil", "h"));
    EXPECT_TRUE(is_foreign("", "http://h:81", "h:80"));
    EXPECT_TRUE(is_foreign("", "http://h.evil", "h"));
    EXPECT_FALSE(is_foreign("", "https://H:81", "h:81"));
}

TEST(Foreign, is_an_origin_that_names_no_host) {
    EXPECT_TRUE(is_foreign("", "null", "h"));
    EXPECT_TRUE(is_foreign("same-origin", "null", "h"));
    EXPECT_TRUE(is_foreign("", "http://", ""));
}

TEST(FormType, is_what_a_form_sends_whatever_the_parameters) {
    EXPECT_TRUE(is_form_type("text/plain"));
    EXPECT_TRUE(is_form_type("Text/Plain; charset=utf-8"));
    EXPECT_TRUE(is_form_type("multipart/form-data;boundary=x"));
    EXPECT_TRUE(is_form_type("application/x-www-form-urlencoded\t"));
    EXPECT_FALSE(is_form_type("application/json"));
    EXPECT_FALSE(is_form_type("text/plainer"));
    EXPECT_FALSE(is_form_type(""));
}

TEST(Urlencoded, is_one_form_type_alone) {
    EXPECT_TRUE(is_urlencoded("Application/X-WWW-form-urlencoded; charset=utf-8"));
    EXPECT_FALSE(is_urlencoded("text/plain"));
}

TEST(Page, shows_by_what_only_browsers_send) {
    const auto shows = [](Bytes name, Bytes value) {
        const Field field{name, value};
        return may_be_a_page({&field, 1});
    };
    EXPECT_TRUE(shows("origin", "null"));
    EXPECT_TRUE(shows("Sec-Fetch-Dest", "document"));
    EXPECT_TRUE(shows("Referer", "http://h/"));
    EXPECT_TRUE(shows("Cookie", "a=b"));
    EXPECT_TRUE(shows("User-Agent", "Mozilla/5.0 (X11)"));
    EXPECT_FALSE(shows("User-Agent", "curl/7.88.1"));
    EXPECT_FALSE(shows("Accept", "*/*"));
}

}  // namespace
}  // namespace slab_cache::http
