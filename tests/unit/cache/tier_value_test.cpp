// Values of the second tier: HTTP messages as programs write them.
#include "cache/tier_value.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace slab_cache::cache {
namespace {

constexpr int64_t kNow = 1800000000;

// Kept with its bytes, which are an exact block of the heap.
struct Read {
    std::vector<char> bytes;
    std::unique_ptr<TierValue> value = std::make_unique<TierValue>();
    ValueFault fault;

    explicit Read(const std::string& text, int64_t now = kNow) : bytes(text.begin(), text.end()) {
        fault = read_tier_value({bytes.data(), bytes.size()}, now, value.get());
    }
    std::string fields() const {
        std::string all;
        for (const http::Field& f : value->fields()) {
            all += std::string(f.name) + "=" + std::string(f.value) + ";";
        }
        return all;
    }
};

ValueFault fault_of(const std::string& text) { return Read(text).fault; }
ValueFault fault_of_line(const std::string& line) { return fault_of("HTTP/1.1 200 OK\r\n" + line + "\r\n\r\nbody"); }

TEST(TierValue, is_an_http_message) {
    const Read r("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-A:\t b c \r\nX-A:\r\n\r\n<p>\r\n\r\n");
    ASSERT_EQ(r.fault, ValueFault::kNone);
    EXPECT_EQ(r.value->status, 200);
    EXPECT_EQ(r.fields(), "Content-Type=text/html;X-A=b c;X-A=;");
    EXPECT_EQ(r.value->body, "<p>\r\n\r\n");
    EXPECT_TRUE(r.value->fields().has("x-a"));
    EXPECT_FALSE(r.value->is_marker());
    EXPECT_FALSE(r.value->position || r.value->has_position);
    EXPECT_EQ(r.value->key, "");
}

TEST(TierValue, has_lines_that_end_with_lf_alone_too) {
    const Read r("HTTP/1.1 404 Not Found\nCache-Control: max-age=5\n\nno");
    ASSERT_EQ(r.fault, ValueFault::kNone);
    EXPECT_EQ(r.value->status, 404);
    EXPECT_EQ(r.fields(), "Cache-Control=max-age=5;");
    EXPECT_EQ(r.value->body, "no");
}

TEST(TierValue, may_have_no_phrase_no_field_and_no_body) {
    EXPECT_EQ(fault_of("HTTP/1.1 200\r\n\r\n"), ValueFault::kNone);
    EXPECT_EQ(fault_of("HTTP/1.0 204 \n\n"), ValueFault::kNone);
}

TEST(TierValue, has_the_status_of_a_final_response) {
    for (const char* line :
         {"HTTP/1.1 100 Continue", "HTTP/1.1 600 X", "HTTP/1.1 0200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 +20 OK",
          "HTTP/1.1 200OK", "HTTP/2 200 OK", "HTTP/1.1  200 OK", " HTTP/1.1 200 OK", "http/1.1 200 OK", "<html>", "",
          "GET / HTTP/1.1", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 \x01"}) {
        EXPECT_EQ(fault_of(std::string(line) + "\r\n\r\n"), ValueFault::kStatus) << line;
    }
    EXPECT_EQ(fault_of("HTTP/1.1 200 OK"), ValueFault::kStatus) << "no line";
}

TEST(TierValue, that_is_empty_holds_a_place) { EXPECT_EQ(fault_of(""), ValueFault::kEmpty); }

TEST(TierValue, has_fields_that_cannot_be_read_in_two_ways) {
    EXPECT_EQ(fault_of_line("X: a"), ValueFault::kNone);
    EXPECT_EQ(fault_of_line("X: \xC3\xA4"), ValueFault::kNone);
    for (const std::string line :
         {"X : a", " X: a", "X: a\r\n b", "no colon", ": a", "X: a\rY: b", "X\r: a", "X: \x01", "X: \x7F", "X(y): a"}) {
        EXPECT_EQ(fault_of_line(line), ValueFault::kField) << line;
    }
    EXPECT_EQ(fault_of_line(std::string("X: a\0b", 6)), ValueFault::kField);
}

TEST(TierValue, that_ends_within_its_head_is_none) {
    const std::string whole = "HTTP/1.1 200 OK\r\nA: b\r\nSlab-Key: k\r\n\r\n";
    EXPECT_EQ(fault_of(whole), ValueFault::kNone);
    for (size_t n = 17; n < whole.size(); n++) {
        EXPECT_EQ(fault_of(whole.substr(0, n)), ValueFault::kNoEnd) << n;
    }
}

TEST(TierValue, has_a_bounded_head) {
    const std::string line(kMaxTierHead, 'a');
    EXPECT_EQ(fault_of_line("X: " + line), ValueFault::kTooLarge);
    EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\nX: " + line), ValueFault::kTooLarge);
    std::string many;
    for (uint32_t i = 0; i < kMaxTierFields; i++) {
        many += "X: a\r\n";
    }
    EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\n" + many + "\r\n"), ValueFault::kNone);
    EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\n" + many + "Slab-Born: 1\r\n\r\n"), ValueFault::kNone) << "and its age";
    EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\n" + many + "X: a\r\n\r\n"), ValueFault::kTooLarge);
    std::string short_lines;
    for (size_t i = 0; i < kMaxTierHead / 8 + 2; i++) {
        short_lines += "Slab-X:\n";
    }
    EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\n" + short_lines + "\r\n"), ValueFault::kTooLarge);
}

TEST(TierValue, says_the_length_of_its_body_or_nothing) {
    const Read r("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody");
    ASSERT_EQ(r.fault, ValueFault::kNone);
    EXPECT_EQ(r.fields(), "");
    for (const std::string length :
         {"3", "5", "", "-4", "4, 4", "4\r\nContent-Length: 5", "5\r\nContent-Length: 4", "x\r\nContent-Length: 4"}) {
        EXPECT_EQ(fault_of_line("Content-Length: " + length), ValueFault::kLength) << length;
    }
    EXPECT_EQ(fault_of("HTTP/1.1 204 No Content\r\n\r\nx"), ValueFault::kLength);
    EXPECT_EQ(fault_of_line("Transfer-Encoding: chunked"), ValueFault::kTransfer);
}

TEST(TierValue, keeps_what_is_between_its_writer_and_us_from_clients) {
    const Read r(
        "HTTP/1.1 200 OK\r\nSlab-Key: http://h/a\r\nSLAB-POSITION: 17-3\r\nslab-identity: 00ff\r\n"
        "Slab-Unknown: x\r\nA: b\r\n\r\n");
    ASSERT_EQ(r.fault, ValueFault::kNone);
    EXPECT_EQ(r.fields(), "A=b;");
    EXPECT_EQ(r.value->key, "http://h/a");
    EXPECT_EQ(r.value->identity, "00ff");
    EXPECT_TRUE(r.value->position == (StreamId{17, 3}));
}

TEST(TierValue, whose_position_is_no_id_claims_nothing) {
    for (const char* position : {"", "17", "17-", "x-1", "17-3-", "18446744073709551616-0", "17-3\r\nSlab-Position: x",
                                 "x\r\nSlab-Position: 17-3"}) {
        const Read r("HTTP/1.1 200 OK\r\nSlab-Position: " + std::string(position) + "\r\n\r\n");
        ASSERT_EQ(r.fault, ValueFault::kNone) << position;
        EXPECT_TRUE(!r.value->position && r.value->has_position) << position;
    }
}

TEST(TierValue, with_two_positions_claims_the_older) {
    const Read r("HTTP/1.1 200 OK\r\nSlab-Position: 17-3\r\nSlab-Position: 17-2\r\nSlab-Position: 18-0\r\n\r\n");
    EXPECT_TRUE(r.value->position == (StreamId{17, 2}));
}

TEST(TierValue, with_two_keys_is_none) {
    EXPECT_EQ(fault_of_line("Slab-Key: a\r\nSlab-Key: a"), ValueFault::kNone);
    EXPECT_EQ(fault_of_line("Slab-Key: a\r\nSlab-Key: b"), ValueFault::kField);
    EXPECT_EQ(fault_of_line("Slab-Key:"), ValueFault::kField);
    EXPECT_EQ(fault_of_line("Slab-Identity: a\r\nSlab-Identity: b"), ValueFault::kField);
}

TEST(TierValue, is_as_old_as_its_birth_says) {
    EXPECT_EQ(Read("HTTP/1.1 200 OK\r\nSlab-Born: 1799999990\r\n\r\n").fields(), "Age=10;");
    EXPECT_EQ(Read("HTTP/1.1 200 OK\r\nAge: 3\r\nSlab-Born: 1799999990\r\nA: b\r\nage: 4\r\n\r\n").fields(),
              "A=b;Age=10;");
    EXPECT_EQ(Read("HTTP/1.1 200 OK\r\nSlab-Born: 1800000009\r\n\r\n").fields(), "Age=0;") << "another clock";
    EXPECT_EQ(Read("HTTP/1.1 200 OK\r\nSlab-Born: 5\r\nSlab-Born: 0\r\nSlab-Born: 9\r\n\r\n").fields(),
              "Age=1800000000;");
    EXPECT_EQ(Read("HTTP/1.1 200 OK\r\nSlab-Born: 0\r\n\r\n", INT64_MAX).fields(), "Age=9223372036854775807;");
    EXPECT_EQ(Read("HTTP/1.1 200 OK\r\nAge: 3\r\n\r\n").fields(), "Age=3;");
    EXPECT_EQ(fault_of_line("Slab-Born: soon"), ValueFault::kField);
    EXPECT_EQ(fault_of_line("Slab-Born: 9223372036854775808"), ValueFault::kField);
}

TEST(TierValue, may_be_a_marker) {
    const Read r("HTTP/1.1 200 OK\nSlab-Vary: accept-language\nSlab-Vary: cookie\n\n");
    ASSERT_EQ(r.fault, ValueFault::kNone);
    ASSERT_EQ(r.value->specs, 2u);
    EXPECT_TRUE(r.value->is_marker());
    EXPECT_EQ(r.value->spec[0], "accept-language");
    EXPECT_EQ(r.value->spec[1], "cookie");
    EXPECT_EQ(fault_of_line("Slab-Vary:"), ValueFault::kField);
    EXPECT_EQ(fault_of_line("Slab-Vary: a\r\nSlab-Vary: b\r\nSlab-Vary: c\r\nSlab-Vary: d\r\nSlab-Vary: e"),
              ValueFault::kField);
}

TEST(TierValue, has_a_sentence_for_each_fault) {
    for (int f = 1; f <= static_cast<int>(ValueFault::kTransfer); f++) {
        EXPECT_GT(Bytes(fault_sentence(static_cast<ValueFault>(f))).size(), 8u);
    }
}

// ---- written --------------------------------------------------------------------------------------------------

struct Stored {
    std::string bytes = std::string(64 * 1024, '\0');
    StoredResponse response;

    Stored(uint16_t status, const std::vector<http::Field>& lines) {
        HeadBuilder b(bytes.data(), bytes.size());
        for (const http::Field& l : lines) {
            b.add(l.name, l.value);
        }
        EXPECT_TRUE(b.finish(status, -1, {}) && decode_head(b.head(), &response));
    }
    Stored(const Stored&) = delete;  // response points into bytes
    TierHead head() const {
        TierHead head;
        head.response = &response;
        head.key = "http://h/a";
        return head;
    }
};

std::string written(const TierHead& head) {
    std::vector<char> exact(write_tier_head(head, nullptr, 0));
    EXPECT_EQ(write_tier_head(head, exact.data(), exact.size()), exact.size());
    return {exact.begin(), exact.end()};
}

TEST(TierMessage, is_read_as_what_was_written) {
    const Stored stored(404, {{"Content-Type", "text/html"}, {"etag", "\"1\""}, {"X-A", ""}});
    const http::Field tags[] = {{"Surrogate-Key", "a b"}};
    TierHead head = stored.head();
    head.more = tags;
    head.more_count = 1;
    head.identity = "00ff";
    head.position = {17, 3};
    head.born = kNow - 30;
    const Read r(written(head) + "the body");
    ASSERT_EQ(r.fault, ValueFault::kNone);
    EXPECT_EQ(r.value->status, 404);
    EXPECT_EQ(r.fields(), "Content-Type=text/html;etag=\"1\";X-A=;Surrogate-Key=a b;Age=30;");
    EXPECT_EQ(r.value->body, "the body");
    EXPECT_EQ(r.value->key, "http://h/a");
    EXPECT_EQ(r.value->identity, "00ff");
    EXPECT_TRUE(r.value->position == head.position);
}

TEST(TierMessage, says_nothing_of_what_is_not_known) {
    EXPECT_EQ(written(Stored(200, {}).head()), "HTTP/1.1 200 \r\nSlab-Key: http://h/a\r\n\r\n");
}

TEST(TierMessage, is_none_where_a_field_cannot_be_said) {
    EXPECT_EQ(written(Stored(200, {{"X", "a\x01"}}).head()), "");
    EXPECT_EQ(written(Stored(200, {{"not a name", "a"}}).head()), "");
    Stored damaged(200, {{"X", "a"}});
    damaged.response.field_count++;
    EXPECT_EQ(written(damaged.head()), "");
}

TEST(TierMessage, that_is_a_marker_lists_specs_in_their_order) {
    const Bytes spec[] = {"cookie", "accept", "a", "b", "c"};
    char buffer[256];
    const size_t n = write_tier_marker("http://h/a", spec, 5, buffer, sizeof(buffer));
    const Read r(std::string(buffer, n));
    ASSERT_EQ(r.fault, ValueFault::kNone);
    ASSERT_EQ(r.value->specs, kMaxTierSpecs);
    EXPECT_EQ(r.value->spec[0], "cookie");
    EXPECT_EQ(r.value->spec[3], "b");
    EXPECT_EQ(r.value->key, "http://h/a");
}

}  // namespace
}  // namespace slab_cache::cache
