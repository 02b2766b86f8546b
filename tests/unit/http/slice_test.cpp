#include "http/slice.h"

#include <gtest/gtest.h>

#include "builder.h"

namespace slab_cache::http {
namespace {

bool answers(const Message& message, ByteRange slice = {100, 199}) {
    ContentRange part;
    return answers_slice(slice, response(206, message).fields, &part);
}

TEST(Slice, is_one_range_with_both_ends) {
    ByteRange slice;
    ASSERT_TRUE(parse_slice("bytes=1048576-2097151", &slice));
    EXPECT_EQ(slice.first, 1048576u);
    EXPECT_EQ(slice.last, 2097151u);
    for (const char* no : {"", "bytes=", "bytes=1-", "bytes=-1", "bytes=2-1", "bytes=0-1,3-4", "bytes=0-1 ",
                           "items=0-1", "bytes=0-9223372036854775808", "bytes=a-b"}) {
        EXPECT_FALSE(parse_slice(no, &slice)) << no;
    }
}

TEST(ContentRangeField, names_range_and_length) {
    ContentRange part;
    for (const char* yes : {"bytes 100-199/1000", "bytes  100 - 199 / 1000 "}) {
        ASSERT_TRUE(parse_content_range(yes, &part)) << yes;
        EXPECT_EQ(part.range.first, 100u);
        EXPECT_EQ(part.range.last, 199u);
        EXPECT_EQ(part.length, 1000u);
    }
    EXPECT_TRUE(parse_content_range("bytes 0-0/9223372036854775807", &part));
}

TEST(ContentRangeField, without_a_length_or_with_nonsense_is_none) {
    ContentRange part;
    for (const char* no :
         {"", "bytes", "bytes ", "bytes 0-1", "bytes 0-1/*", "bytes */100", "bytes 1-0/100", "bytes 0-100/100",
          "Bytes 0-1/2", "bytes=0-1/2", "bytes 0-1/2x", "bytes 0-1/9223372036854775808", "items 0-1/2"}) {
        EXPECT_FALSE(parse_content_range(no, &part)) << no;
    }
}

TEST(SliceAnswer, is_of_the_range_that_was_asked_for) {
    EXPECT_TRUE(answers({"Content-Range: bytes 100-199/1000"}));
    EXPECT_TRUE(answers({"Content-Range: bytes 100-199/1000", "Content-Length: 100"}));
    EXPECT_TRUE(answers({"Content-Range: bytes 100-199/200"}));
    EXPECT_FALSE(answers({"Content-Range: bytes 0-99/1000"}));
    EXPECT_FALSE(answers({"Content-Range: bytes 100-198/1000"}));
    EXPECT_FALSE(answers({"Content-Range: bytes 100-200/1000"}));
    EXPECT_FALSE(answers({"Content-Range: bytes 101-199/1000"}));
}

TEST(SliceAnswer, is_shorter_only_where_the_file_ends) {
    EXPECT_TRUE(answers({"Content-Range: bytes 100-149/150"}));
    EXPECT_FALSE(answers({"Content-Range: bytes 100-149/151"}));
}

TEST(SliceAnswer, says_so_once_and_has_that_length) {
    EXPECT_FALSE(answers({}));
    EXPECT_FALSE(answers({"Content-Type: multipart/byteranges; boundary=x"}));
    EXPECT_FALSE(answers({"Content-Range: bytes 100-199/1000", "Content-Range: bytes 100-199/1000"}));
    EXPECT_FALSE(answers({"Content-Range: bytes 100-199/1000", "Content-Length: 99"}));
    EXPECT_FALSE(answers({"Content-Range: bytes 100-199/1000", "Content-Length: x"}));
}

}  // namespace
}  // namespace slab_cache::http
