// Every selector an object gets is in its list once, or the list says that it is not whole.
#include "cache/selector_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/memory.h"

namespace slab_cache::cache {
namespace {

std::vector<uint64_t> sorted(const SelectorList& list) {
    std::vector<uint64_t> all(list.data(), list.data() + list.size());
    std::sort(all.begin(), all.end());
    return all;
}

std::vector<uint64_t> from_to(uint64_t from, uint64_t to) {
    std::vector<uint64_t> all;
    for (uint64_t i = from; i <= to; i++) {
        all.push_back(i);
    }
    return all;
}

TEST(SelectorList, has_each_selector_once_however_many_there_are) {
    for (const uint64_t n : {1, 2, 3, 47, 48, 49, 50, 191, 192, 193, 2000, 3071, 3072}) {
        test::Memory memory;
        SelectorList list(memory.arena());
        for (int again = 0; again < 3; again++) {
            for (uint64_t i = 1; i <= n; i++) {
                list.add(i * 7919 % 100003);
            }
        }
        EXPECT_TRUE(list.settle()) << n;
        std::vector<uint64_t> want;
        for (uint64_t i = 1; i <= n; i++) {
            want.push_back(i * 7919 % 100003);
        }
        std::sort(want.begin(), want.end());
        EXPECT_EQ(sorted(list), want) << n;
    }
}

TEST(SelectorList, keeps_the_first_two_in_their_places) {
    test::Memory memory;
    SelectorList list(memory.arena());
    list.add(900000);
    list.add(800000);
    for (uint64_t i = 1; i <= 3000; i++) {
        list.add(i);
        list.add(900000);
        list.add(800000);
    }
    EXPECT_TRUE(list.settle());
    EXPECT_EQ(list.data()[0], 900000u);
    EXPECT_EQ(list.data()[1], 800000u);
    EXPECT_EQ(list.size(), 3002u);
}

TEST(SelectorList, says_when_one_is_too_many) {
    for (const uint64_t n : {uint64_t{shm::kMaxSelectors} + 1, uint64_t{2 * shm::kMaxSelectors}, uint64_t{100000}}) {
        test::Memory memory;
        SelectorList list(memory.arena());
        const std::vector<uint64_t> all = from_to(1, n);
        list.add(all.data(), static_cast<uint32_t>(all.size()));
        EXPECT_FALSE(list.settle()) << n;
        EXPECT_FALSE(list.is_out_of_memory());
        EXPECT_LE(list.size(), 2 * shm::kMaxSelectors);
    }
}

TEST(SelectorList, says_when_memory_ran_out) {
    test::Memory memory(1);
    SelectorList list(memory.arena());
    const std::vector<uint64_t> all = from_to(1, 3000);
    list.add(all.data(), static_cast<uint32_t>(all.size()));
    EXPECT_FALSE(list.settle());
    EXPECT_TRUE(list.is_out_of_memory());
}

TEST(SelectorList, a_few_need_no_memory_but_their_own) {
    test::Memory memory(0);
    SelectorList list(memory.arena());
    const std::vector<uint64_t> all = from_to(1, 48);
    list.add(all.data(), static_cast<uint32_t>(all.size()));
    EXPECT_TRUE(list.settle());
    EXPECT_EQ(list.size(), 48u);
}

TEST(SelectorList, takes_all_of_a_url_or_says_that_it_has_too_many) {
    const std::string secret(kSecretBytes, 's');
    const auto* key = reinterpret_cast<const uint8_t*>(secret.data());
    for (const size_t depth : {0, 5, 126, 127, 3000}) {
        test::Memory memory;
        SelectorList list(memory.arena());
        std::string path = "/";
        for (size_t i = 0; i < depth; i++) {
            path += "d/";
        }
        path += "x";
        list.add_url({"host", path, ""}, key);
        EXPECT_EQ(list.settle(), depth <= 126) << depth;
        EXPECT_EQ(list.size(), depth <= 126 ? depth + 2 : 0) << depth;
    }
}

}  // namespace
}  // namespace slab_cache::cache
