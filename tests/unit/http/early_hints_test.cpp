// Which links of a response are hints, and what is made of nonsense.
#include "http/early_hints.h"

#include <gtest/gtest.h>

#include "builder.h"

namespace slab_cache::http {
namespace {

std::string hints(const Message& message, size_t cap = kMaxHintsBytes) {
    std::string out(cap, '?');
    const size_t n = hints_of(message, out.data(), cap);
    EXPECT_LE(n, cap);
    out.resize(n);
    return out;
}

TEST(EarlyHints, are_links_that_tell_what_to_fetch) {
    EXPECT_EQ(hints({"Link: </a.css>; rel=preload; as=style"}), "</a.css>; rel=preload; as=style");
    EXPECT_EQ(hints({"Link: <https://cdn.example>; rel=preconnect"}), "<https://cdn.example>; rel=preconnect");
    EXPECT_EQ(hints({"Link: </a.js>;rel=\"modulepreload\""}), "</a.js>;rel=\"modulepreload\"");
    EXPECT_EQ(hints({"link: </a>; REL=PreLoad"}), "</a>; REL=PreLoad");
    EXPECT_EQ(hints({"Link: </a>; rel=\"next preload\""}), "</a>; rel=\"next preload\"");
}

TEST(EarlyHints, other_links_are_left_out) {
    EXPECT_EQ(hints({"Link: </2>; rel=next, </a.css>; rel=preload, </f>; rel=\"alternate\"; title=\"a, b\", </b.js>; "
                     "rel=preload"}),
              "</a.css>; rel=preload, </b.js>; rel=preload");
    EXPECT_EQ(hints({"Link: </2>; rel=next"}), "");
    EXPECT_EQ(hints({"Link: </2>; title=preload"}), "");
    EXPECT_EQ(hints({"Link: </2>; rel=preloaded"}), "");
    EXPECT_EQ(hints({"X-Link: </a>; rel=preload"}), "");
}

TEST(EarlyHints, of_several_lines_are_one_list) {
    EXPECT_EQ(
        hints({"Link: </a>; rel=preload", "Link: </b>; rel=next", "Link: </c>; rel=preload, </d>; rel=preconnect"}),
        "</a>; rel=preload, </c>; rel=preload, </d>; rel=preconnect");
}

TEST(EarlyHints, of_several_relations_of_one_link_the_first_counts) {
    EXPECT_EQ(hints({"Link: </a>; rel=next; rel=preload"}), "");
    EXPECT_EQ(hints({"Link: </a>; rel=preload; rel=next"}), "</a>; rel=preload; rel=next");
}

TEST(EarlyHints, targets_and_strings_may_hold_commas_and_semicolons) {
    EXPECT_EQ(hints({"Link: </a,b;c>; rel=preload; imagesrcset=\"a.jpg 1x, b.jpg 2x; q\\\"x\""}),
              "</a,b;c>; rel=preload; imagesrcset=\"a.jpg 1x, b.jpg 2x; q\\\"x\"");
    EXPECT_EQ(hints({"Link: </a>;; rel=preload; nopush;, ,</b>;rel=preload"}),
              "</a>;; rel=preload; nopush;, </b>;rel=preload");
}

TEST(EarlyHints, nonsense_ends_a_line) {
    EXPECT_EQ(hints({"Link: /a; rel=preload"}), "");
    EXPECT_EQ(hints({"Link: </a; rel=preload"}), "");
    EXPECT_EQ(hints({"Link: </a>; rel=preload, b, </c>; rel=preload", "Link: </d>; rel=preload"}),
              "</a>; rel=preload, </d>; rel=preload");
    EXPECT_EQ(hints({"Link: </a>; rel=\"preload"}), "");
    EXPECT_EQ(hints({"Link: </a> rel=preload"}), "");
    EXPECT_EQ(hints({"Link: <\x01>; rel=preload, </b>; rel=preload"}), "</b>; rel=preload");
    EXPECT_EQ(hints({"Link: "}), "");
    EXPECT_EQ(hints({"Link: <"}), "");
    EXPECT_EQ(hints({"Link: <>;"}), "");
    EXPECT_EQ(hints({"Link: <>;rel"}), "");
    EXPECT_EQ(hints({"Link: <>;rel="}), "");
    EXPECT_EQ(hints({"Link: <>;=preload"}), "");
}

TEST(EarlyHints, that_do_not_fit_are_left_out_one_by_one) {
    const Message message({"Link: </a>; rel=preload, </bbbbbbbbbbbb>; rel=preload, </c>; rel=preload"});
    EXPECT_EQ(hints(message, 17), "</a>; rel=preload");
    EXPECT_EQ(hints(message, 16), "");
    EXPECT_EQ(hints(message, 36), "</a>; rel=preload, </c>; rel=preload");
    EXPECT_EQ(hints(message, 0), "");
}

}  // namespace
}  // namespace slab_cache::http
