// The marker under a URL whose responses vary.
#include "cache/variant_marker.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace slab_cache::cache {
namespace {

shm::Digest variant(uint64_t i) { return {i * 7 + 1, i}; }

// The marker after the one in `head`, if any.
std::string add(const std::string& head, Bytes spec, const shm::Digest& digest, uint32_t max = 8,
                Dropped* dropped = nullptr, size_t capacity = 16384) {
    Marker old;
    if (!head.empty() && !decode_marker(head, &old)) {
        return "nonsense";
    }
    const auto scratch = std::make_unique<Dropped>();
    std::string out(capacity, '\0');
    out.resize(
        encode_marker(old, spec, digest, max, out.data(), out.size(), dropped != nullptr ? dropped : scratch.get()));
    return out;
}

TEST(Marker, lists_the_newest_spec_first_and_the_newest_variant_last) {
    const std::string head = add(add("", "accept", variant(1)), "cookie", variant(2));
    Marker m;
    ASSERT_TRUE(decode_marker(head, &m));
    ASSERT_EQ(m.spec_count, 2u);
    EXPECT_EQ(m.spec[0], "cookie");
    EXPECT_EQ(m.spec[1], "accept");
    ASSERT_EQ(m.variant_count, 2u);
    EXPECT_TRUE(m.variant(0) == variant(1));
    EXPECT_TRUE(m.variant(1) == variant(2));
}

TEST(Marker, does_not_repeat_what_it_lists) {
    const std::string once = add(add("", "accept", variant(1)), "cookie", variant(2));
    const std::string again = add(once, "accept", variant(1));
    Marker m;
    ASSERT_TRUE(decode_marker(again, &m));
    EXPECT_EQ(m.spec_count, 2u);
    EXPECT_EQ(m.spec[0], "accept");
    EXPECT_EQ(m.variant_count, 2u);
    EXPECT_TRUE(m.variant(1) == variant(1)) << "the newest again";
}

TEST(Marker, forgets_the_oldest_spec_beyond_four) {
    std::string head;
    for (char c = 'a'; c <= 'f'; c++) {
        head = add(head, {&c, 1}, variant(1));
    }
    Marker m;
    ASSERT_TRUE(decode_marker(head, &m));
    EXPECT_EQ(m.spec_count, kMaxSpecs);
    EXPECT_EQ(m.spec[0], "f");
    EXPECT_EQ(m.spec[3], "c");
}

TEST(Marker, drops_the_oldest_variant_beyond_max_and_says_which) {
    std::string head;
    for (uint64_t i = 0; i < 3; i++) {
        head = add(head, "accept", variant(i), 3);
    }
    const auto dropped = std::make_unique<Dropped>();
    head = add(head, "accept", variant(9), 2, dropped.get());
    ASSERT_EQ(dropped->count, 2u);
    EXPECT_TRUE(dropped->digest[0] == variant(0));
    EXPECT_TRUE(dropped->digest[1] == variant(1));
    Marker m;
    ASSERT_TRUE(decode_marker(head, &m));
    EXPECT_EQ(m.variant_count, 2u);
    EXPECT_TRUE(m.variant(0) == variant(2));
}

TEST(Marker, holds_255_variants_at_most) {
    std::string head;
    const auto dropped = std::make_unique<Dropped>();
    for (uint64_t i = 0; i < 257; i++) {
        head = add(head, "a", variant(i), 1000, dropped.get());
    }
    Marker m;
    ASSERT_TRUE(decode_marker(head, &m));
    EXPECT_EQ(m.variant_count, kMaxVariants);
    EXPECT_EQ(dropped->count, 2u);
}

TEST(Marker, that_does_not_fit_is_not_written) {
    EXPECT_EQ(add("", "accept", variant(1), 8, nullptr, 2 + 2 + 6 + 15), "");
    EXPECT_EQ(add("", "accept", variant(1), 8, nullptr, 2 + 2 + 6 + 16).size(), 26u);
    EXPECT_EQ(add("", "accept", variant(1), 0), "");
    EXPECT_EQ(add("", std::string(65536, 'x'), variant(1), 8, nullptr, 100000), "");
}

TEST(Marker, knows_what_need_not_be_written_again) {
    const std::string head = add(add("", "accept", variant(1)), "cookie", variant(2));
    Marker m;
    ASSERT_TRUE(decode_marker(head, &m));
    EXPECT_TRUE(marker_knows(m, "cookie", variant(1)));
    EXPECT_FALSE(marker_knows(m, "accept", variant(1))) << "not the first spec";
    EXPECT_FALSE(marker_knows(m, "cookie", variant(3)));
    EXPECT_FALSE(marker_knows(Marker{}, "", variant(1)));
}

TEST(Marker, that_is_cut_anywhere_is_nonsense) {
    const std::string head = add(add("", "accept", variant(1)), "cookie", variant(2));
    Marker m;
    for (size_t n = 0; n < head.size(); n++) {
        const std::string cut = head.substr(0, n);
        EXPECT_FALSE(decode_marker(cut, &m)) << n;
    }
    EXPECT_FALSE(decode_marker(head + "x", &m));
    EXPECT_FALSE(decode_marker(std::string("\5\0", 2), &m)) << "more specs than there may be";
}

}  // namespace
}  // namespace slab_cache::cache
