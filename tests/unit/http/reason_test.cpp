#include "http/reason.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace slab_cache::http {
namespace {

TEST(ReasonTable, every_reason_has_a_word_of_its_own_and_a_sentence) {
    std::set<std::string> words;
    for (uint32_t i = 1; i < kReasonCount; i++) {
        const Bytes word = reason_word(static_cast<Reason>(i));
        EXPECT_FALSE(word.empty()) << i;
        EXPECT_TRUE(words.insert(std::string(word)).second) << word;
        EXPECT_FALSE(reason_sentence(static_cast<Reason>(i)).empty()) << word;
        EXPECT_EQ(word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), Bytes::npos) << word;
    }
}

TEST(ReasonTable, none_has_no_word) { EXPECT_EQ(reason_word(Reason::kNone), ""); }

TEST(ReasonTable, a_number_that_is_no_reason_has_no_word) {
    EXPECT_EQ(reason_word(static_cast<Reason>(255)), "");
    EXPECT_EQ(reason_sentence(static_cast<Reason>(255)), "");
}

TEST(ReasonTable, only_what_a_response_itself_causes_marks_its_key) {
    EXPECT_EQ(mark_of(Reason::kPrivate), Mark::kByHeader);
    EXPECT_EQ(mark_of(Reason::kTooBig), Mark::kByTime);
    EXPECT_EQ(mark_of(Reason::kBusy), Mark::kNo);
    EXPECT_EQ(mark_of(Reason::kOriginError), Mark::kNo);
    EXPECT_EQ(mark_of(static_cast<Reason>(255)), Mark::kNo);
}

TEST(ReasonTable, only_none_is_a_yes) {
    EXPECT_TRUE(Verdict{});
    EXPECT_FALSE(Verdict{Reason::kPrivate});
}

}  // namespace
}  // namespace slab_cache::http
