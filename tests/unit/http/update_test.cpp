#include "http/update.h"

#include <gtest/gtest.h>

#include "builder.h"

namespace slab_cache::http {
namespace {

std::string merged(const Message& stored, const Message& update, const Policy& policy = {}) {
    MergedFields fields(stored, update, policy);
    std::string out;
    for (Field field; fields.next(&field);) {
        out += std::string(field.name) + "=" + std::string(field.value) + ";";
    }
    return out;
}

TEST(HeaderUpdate, fields_of_the_304_replace_all_stored_lines_of_their_name) {
    EXPECT_EQ(merged({"A: 1", "B: 2", "a: 3"}, {"A: 4", "A: 5"}), "B=2;A=4;A=5;");
}

TEST(HeaderUpdate, other_stored_fields_stay_in_their_order) {
    EXPECT_EQ(merged({"B: 2", "A: 1", "B: 3"}, {"C: 1"}), "B=2;A=1;B=3;C=1;");
}

TEST(HeaderUpdate, fields_that_describe_the_body_are_not_replaced) {
    for (const std::string name : {"Content-Length", "Content-Encoding", "Content-Type", "Content-Range"}) {
        EXPECT_EQ(merged({name + ": old"}, {name + ": new"}), name + "=old;");
    }
}

TEST(HeaderUpdate, what_may_not_be_stored_is_not_taken) {
    EXPECT_EQ(merged({"A: 1", "X: 1"}, {"Connection: X", "X: 2", "Transfer-Encoding: chunked"}), "A=1;X=1;");
}

TEST(HeaderUpdate, set_cookie_is_taken_only_where_it_is_stored) {
    EXPECT_EQ(merged({"A: 1"}, {"Set-Cookie: s"}), "A=1;");
    Policy policy;
    policy.set_cookie = SetCookie::kStore;
    EXPECT_EQ(merged({"A: 1"}, {"Set-Cookie: s"}, policy), "A=1;Set-Cookie=s;");
}

TEST(HeaderUpdate, the_old_date_and_age_go_in_any_case) {
    EXPECT_EQ(merged({"Date: old", "Age: 5", "A: 1"}, {}), "A=1;");
    EXPECT_EQ(merged({"Date: old"}, {"Date: new", "Age: 7"}), "Date=new;Age=7;");
}

TEST(HeaderUpdate, a_304_with_another_tag_is_no_update_of_what_is_stored) {
    EXPECT_FALSE(is_update_of("\"a\"", Message({"ETag: \"b\""})));
    EXPECT_FALSE(is_update_of("W/\"a\"", Message({"ETag: W/\"b\""})));
    EXPECT_TRUE(is_update_of("\"a\"", Message({"ETag: \"a\""})));
    EXPECT_TRUE(is_update_of("W/\"a\"", Message({"ETag:  \"a\" "})));
    EXPECT_TRUE(is_update_of("\"a\"", Message({"A: 1"})));
    EXPECT_TRUE(is_update_of("", Message({"ETag: \"a\""})));
}

TEST(HeaderUpdate, what_is_not_stored_may_still_be_for_who_asked) {
    const Message update({"Set-Cookie: s", "X: 1", "A: 1", "H: 1", "Connection: H", "Age: 1", "Content-Type: t"});
    const Message result({"Cache-Control: no-cache=\"X, H, Content-Type\""});
    const Policy refuse;
    EXPECT_TRUE(is_for_asker("set-cookie", update, result, refuse));
    EXPECT_TRUE(is_for_asker("x", update, result, refuse));
    for (const char* name : {"A", "H", "Connection", "Age", "Content-Type"}) {
        EXPECT_FALSE(is_for_asker(name, update, result, refuse)) << name;
    }
    Policy store;
    store.set_cookie = SetCookie::kStore;
    EXPECT_FALSE(is_for_asker("set-cookie", update, result, store));
}

TEST(HeaderUpdate, freshness_is_computed_anew_from_the_result) {
    const Message stored({"Cache-Control: max-age=1", "Date: " + date(kNow - 100), "ETag: \"a\""});
    const Message update({"Cache-Control: max-age=60", "Date: " + date(kNow), "Age: 10"});
    const Policy policy;
    MergedFields fields(stored, update, policy);
    Message result;
    for (Field field; fields.next(&field);) {
        result.add(std::string(field.name), std::string(field.value));
    }
    EXPECT_EQ(freshness(result).fresh_until, kNow + 50);
}

}  // namespace
}  // namespace slab_cache::http
