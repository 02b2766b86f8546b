#include "cache/redis_reply.h"

#include <gtest/gtest.h>

#include <string>

#include "cache/redis_command.h"

namespace slab_cache::cache {
namespace {

using Next = ReplyReader::Next;

// Opened, and closed at the end.
struct OpenReader : ReplyReader {
    explicit OpenReader(const ReplyLimits& limits = {}) { EXPECT_TRUE(open(limits)); }
    ~OpenReader() { close(); }
};

// The only reply of `text`, which comes a byte at a time where `bytewise`.
std::string told(const Reply& r) {
    switch (r.kind) {
    case ReplyKind::kNil:
        return "nil";
    case ReplyKind::kInteger:
        return std::to_string(r.integer);
    case ReplyKind::kArray: {
        std::string all = "[";
        for (uint32_t i = 0; i < r.count; i++) {
            all += (i != 0 ? " " : "") + told(r.at(i));
        }
        return all + "]";
    }
    case ReplyKind::kError:
        return "error:" + std::string(r.text);
    case ReplyKind::kStatus:
        return "status:" + std::string(r.text);
    case ReplyKind::kText:
        return "'" + std::string(r.text) + "'";
    }
    return "?";
}

constexpr Bytes kEntries =
    "*1\r\n*2\r\n$4\r\nslab\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$3\r\ntag\r\n$1\r\na\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$"
    "3\r\nurl\r\n$0\r\n\r\n";

TEST(RedisReply, values_of_all_kinds_are_read) {
    OpenReader reader;
    reader.feed("+OK\r\n-ERR no\r\n:-7\r\n$-1\r\n*-1\r\n$3\r\na\r\n\r\n");
    std::string all;
    const Reply* reply = nullptr;
    while (reader.next(&reply) == Next::kReply) {
        all += told(*reply) + " ";
    }
    EXPECT_EQ(all, "status:OK error:ERR no -7 nil nil 'a\r\n' ");
}

TEST(RedisReply, a_stream_s_entries_are_nested_arrays) {
    OpenReader reader;
    const Reply* reply = nullptr;
    reader.feed(kEntries);
    ASSERT_EQ(reader.next(&reply), Next::kReply);
    EXPECT_EQ(told(*reply), "[['slab' [['1-0' ['tag' 'a']] ['2-0' ['url' '']]]]]");
    EXPECT_EQ(reply->at(0).at(1).at(1).at(0).text, "2-0");
}

TEST(RedisReply, a_reply_may_be_cut_anywhere) {
    for (size_t cut = 0; cut < kEntries.size(); cut++) {
        OpenReader reader;
        const Reply* reply = nullptr;
        reader.feed(base::slice(kEntries, 0, cut));
        ASSERT_EQ(reader.next(&reply), Next::kMore) << cut;
        reader.feed(base::slice(kEntries, cut));
        ASSERT_EQ(reader.next(&reply), Next::kReply) << cut;
        EXPECT_EQ(told(*reply), "[['slab' [['1-0' ['tag' 'a']] ['2-0' ['url' '']]]]]");
        EXPECT_EQ(reader.next(&reply), Next::kMore);
    }
}

TEST(RedisReply, an_element_that_is_not_there_is_nil) {
    OpenReader reader;
    const Reply* reply = nullptr;
    reader.feed("*1\r\n:1\r\n");
    ASSERT_EQ(reader.next(&reply), Next::kReply);
    EXPECT_EQ(reply->at(1).kind, ReplyKind::kNil);
    EXPECT_EQ(reply->at(0).at(0).kind, ReplyKind::kNil);
}

TEST(RedisReply, nonsense_breaks_the_reader_for_good) {
    for (const Bytes nonsense :
         {Bytes("HTTP/1.1 400 Bad Request\r\n"), Bytes("$x\r\n"), Bytes("*2147483648\r\n"), Bytes(":9x\r\n"),
          Bytes("$-2\r\n"), Bytes("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n")}) {
        OpenReader reader;
        const Reply* reply = nullptr;
        reader.feed(nonsense);
        EXPECT_EQ(reader.next(&reply), Next::kBroken) << nonsense;
        EXPECT_FALSE(reader.why().empty());
        reader.feed("+OK\r\n");
        EXPECT_EQ(reader.next(&reply), Next::kBroken) << nonsense;
    }
}

TEST(RedisReply, a_reply_is_bounded_in_values) {
    OpenReader reader({1024 * 1024, 100});
    const Reply* reply = nullptr;
    reader.feed("*1000000000\r\n");
    EXPECT_EQ(reader.next(&reply), Next::kBroken);
    EXPECT_EQ(reader.why(), "a reply has too many values");
}

TEST(RedisReply, a_reply_is_bounded_in_bytes) {
    OpenReader reader({4096, 1000});
    const Reply* reply = nullptr;
    reader.feed("$500000\r\n");
    EXPECT_EQ(reader.next(&reply), Next::kMore);
    const std::string part(1000, 'x');
    for (int i = 0; i < 8; i++) {
        reader.feed(part);
        (void) reader.next(&reply);
    }
    EXPECT_EQ(reader.next(&reply), Next::kBroken);
    EXPECT_EQ(reader.why(), "a reply is too large");
}

TEST(RedisReply, bounds_are_of_one_reply_not_of_all) {
    OpenReader reader({4096, 16});
    const Reply* reply = nullptr;
    const std::string text = "*2\r\n$1000\r\n" + std::string(1000, 'x') + "\r\n:1\r\n";
    for (int i = 0; i < 100; i++) {
        reader.feed(text);
        ASSERT_EQ(reader.next(&reply), Next::kReply) << i;
        ASSERT_EQ(reader.next(&reply), Next::kMore);
    }
}

// Seen: a connection with a small max_object= was dropped as soon as several values came at once.
TEST(RedisReply, bounds_are_of_one_reply_however_many_come_at_once) {
    OpenReader reader({4096, 16});
    const Reply* reply = nullptr;
    const std::string one =
        "$1000\r\n" + std::string(1000, 'x') + "\r\n*2\r\n$1000\r\n" + std::string(1000, 'y') + "\r\n:1\r\n";
    std::string all;
    for (int i = 0; i < 50; i++) {
        all += one;
    }
    reader.feed(all);
    for (int i = 0; i < 50; i++) {
        ASSERT_EQ(reader.next(&reply), Next::kReply) << i;
        ASSERT_EQ(reply->text, Bytes(one).substr(7, 1000)) << i;
        ASSERT_EQ(reader.next(&reply), Next::kReply) << i;
        ASSERT_EQ(reply->at(0).text.size(), 1000U) << i;
    }
    EXPECT_EQ(reader.next(&reply), Next::kMore);
}

TEST(RedisReply, a_text_may_be_as_large_as_the_bound_and_no_larger_however_it_comes) {
    for (size_t size = 3900; size < 4100; size++) {
        const std::string text = "$" + std::to_string(size) + "\r\n" + std::string(size, 'x') + "\r\n";
        Next at_once = Next::kMore;
        Next bytewise = Next::kMore;
        const Reply* reply = nullptr;
        OpenReader one({4096, 16});
        one.feed(text);
        at_once = one.next(&reply);
        OpenReader other({4096, 16});
        for (size_t i = 0; i < text.size() && bytewise == Next::kMore; i++) {
            other.feed(Bytes(text).substr(i, 1));
            bytewise = other.next(&reply);
        }
        ASSERT_EQ(at_once, bytewise) << size;
    }
}

TEST(RedisReply, may_be_opened_again) {
    ReplyReader reader;
    const Reply* reply = nullptr;
    EXPECT_EQ(reader.next(&reply), Next::kBroken);
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(reader.open({}));
        reader.feed("*2\r\n:1\r\n");
        EXPECT_EQ(reader.next(&reply), Next::kMore);  // what was cut stays behind
        reader.close();
    }
    reader.close();
}

TEST(RedisReply, an_error_is_told_by_its_first_word) {
    OpenReader reader;
    const Reply* reply = nullptr;
    reader.feed("-MOVED 3999 127.0.0.1:6381\r\n");
    ASSERT_EQ(reader.next(&reply), Next::kReply);
    EXPECT_TRUE(reply->says("MOVED"));
    EXPECT_FALSE(reply->says("MOVE"));
}

TEST(RedisCommand, words_are_behind_their_lengths) {
    const Bytes word[] = {"XADD", "", Bytes("a\r\n\0b", 5)};
    std::string text(command_room(word, 3), '\0');
    char* end = write_command(text.data(), word, 3);
    text.resize(static_cast<size_t>(end - text.data()));
    constexpr char kWanted[] = "*3\r\n$4\r\nXADD\r\n$0\r\n\r\n$5\r\na\r\n\0b\r\n";
    EXPECT_EQ(text, std::string(kWanted, sizeof(kWanted) - 1));
}

TEST(RedisCommand, is_read_back_as_it_was) {
    OpenReader reader;
    const Reply* reply = nullptr;
    const std::string big(10000, 'y');
    const Bytes word[] = {"SET", "k", big};
    std::string text(command_room(word, 3), '\0');
    text.resize(static_cast<size_t>(write_command(text.data(), word, 3) - text.data()));
    reader.feed(text);
    ASSERT_EQ(reader.next(&reply), Next::kReply);
    ASSERT_EQ(reply->count, 3u);
    EXPECT_EQ(reply->at(2).text, big);
}

}  // namespace
}  // namespace slab_cache::cache
