#include "http/invalidate.h"

#include <gtest/gtest.h>

#include "builder.h"

namespace slab_cache::http {
namespace {

const TargetUri kTarget{"https", "h.example", "/a/b?c"};

std::vector<std::string> paths(Method method, uint16_t status, const Message& response,
                               Named named = Named::kInvalidate) {
    char buffer[256];
    const Invalidation found = invalidation_of(method, status, kTarget, response, named, buffer, sizeof(buffer));
    std::vector<std::string> out;
    for (uint32_t i = 0; i < found.count; i++) {
        out.emplace_back(found.paths[i]);
    }
    return out;
}

using Strings = std::vector<std::string>;

std::string resolve(std::string_view reference, const TargetUri& base = kTarget) {
    char buffer[256];
    Bytes path;
    return resolve_same_origin(reference, base, buffer, sizeof(buffer), &path) ? std::string(path) : "other";
}

TEST(InvalidationRule, a_2xx_or_3xx_to_an_unsafe_method_invalidates_the_target) {
    for (const Method method : {Method::kPost, Method::kPut, Method::kDelete, Method::kPatch, Method::kUnknown}) {
        EXPECT_EQ(paths(method, 200, {}), Strings{"/a/b?c"});
        EXPECT_EQ(paths(method, 303, {}), Strings{"/a/b?c"});
    }
}

TEST(InvalidationRule, errors_and_safe_methods_invalidate_nothing) {
    EXPECT_EQ(paths(Method::kPost, 404, {}), Strings{});
    EXPECT_EQ(paths(Method::kPost, 500, {}), Strings{});
    EXPECT_EQ(paths(Method::kPost, 103, {}), Strings{});
    EXPECT_EQ(paths(Method::kGet, 200, {}), Strings{});
    EXPECT_EQ(paths(Method::kQuery, 200, {}), Strings{});
}

TEST(InvalidationRule, location_and_content_location_of_the_same_origin_go_too) {
    EXPECT_EQ(paths(Method::kPost, 201, {"Location: /new", "Content-Location: https://H.example/x?y"}),
              (Strings{"/a/b?c", "/new", "/x?y"}));
}

TEST(InvalidationRule, what_the_response_names_stays_unless_asked_for) {
    EXPECT_EQ(paths(Method::kPost, 302, {"Location: /", "Content-Location: /x"}, Named::kKeep), Strings{"/a/b?c"});
}

TEST(InvalidationRule, other_origins_are_left_alone) {
    EXPECT_EQ(paths(Method::kPost, 201, {"Location: https://other/new", "Content-Location: //o/x"}), Strings{"/a/b?c"});
}

TEST(InvalidationRule, the_same_uri_counts_once) {
    EXPECT_EQ(paths(Method::kPost, 201, {"Location: ?c", "Content-Location: b?c"}), Strings{"/a/b?c"});
}

TEST(SameOrigin, is_scheme_host_and_port) {
    EXPECT_EQ(resolve("https://h.example:443/x"), "/x");
    EXPECT_EQ(resolve("https://h.example:/x"), "/x");
    EXPECT_EQ(resolve("HTTPS://H.EXAMPLE/x"), "/x");
    EXPECT_EQ(resolve("http://h.example/x"), "other");
    EXPECT_EQ(resolve("https://h.example:8443/x"), "other");
    EXPECT_EQ(resolve("https://u@h.example/x"), "other");
    EXPECT_EQ(resolve("https:///x"), "other");
    EXPECT_EQ(resolve("mailto:a@h.example"), "other");
}

TEST(SameOrigin, references_are_resolved_as_rfc_3986_says) {
    const TargetUri base{"http", "a", "/b/c/d;p?q"};
    const char* kExamples[][2] = {
        {"g", "/b/c/g"},
        {"./g", "/b/c/g"},
        {"g/", "/b/c/g/"},
        {"/g", "/g"},
        {"//a", "/"},
        {"?y", "/b/c/d;p?y"},
        {"g?y", "/b/c/g?y"},
        {"#s", "/b/c/d;p?q"},
        {"g#s", "/b/c/g"},
        {";x", "/b/c/;x"},
        {"", "/b/c/d;p?q"},
        {".", "/b/c/"},
        {"./", "/b/c/"},
        {"..", "/b/"},
        {"../g", "/b/g"},
        {"../..", "/"},
        {"../../g", "/g"},
        {"../../../g", "/g"},
        {"/./g", "/g"},
        {"/../g", "/g"},
        {"g.", "/b/c/g."},
        {"..g", "/b/c/..g"},
        {"./g/.", "/b/c/g/"},
        {"g/./h", "/b/c/g/h"},
        {"g/../h", "/b/c/h"},
        {"g;x=1/./y", "/b/c/g;x=1/y"},
        {"g?y/../x", "/b/c/g?y/../x"},
        {"http://a?x", "/?x"},
        {"http://a", "/"},
    };
    for (const auto& example : kExamples) {
        EXPECT_EQ(resolve(example[0], base), example[1]) << example[0];
    }
}

TEST(SameOrigin, what_does_not_fit_the_buffer_is_left_out) {
    char buffer[4];
    Bytes path;
    EXPECT_FALSE(resolve_same_origin("/long/path", kTarget, buffer, sizeof(buffer), &path));
}

}  // namespace
}  // namespace slab_cache::http
