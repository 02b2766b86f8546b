// Asked field by field, a judge says what the rule over the whole response says.
#include "http/field_judge.h"

#include <gtest/gtest.h>

#include "builder.h"
#include "http/storable.h"

namespace slab_cache::http {
namespace {

TEST(FieldJudge, says_of_each_field_what_the_rule_says) {
    const Message responses[] = {
        {"X-A: 1", "Age: 3", "Connection: X-A", "X-B: 2", "Keep-Alive: 1"},
        {"X-A: 1", "Connection: X-B", "Connection: X-A, close", "X-B: 2"},
        {"X-A: 1", "Set-Cookie: a=1", "X-B: 2"},
        {"X-A: 1", "Cache-Control: No-Cache=\"x-a, set-cookie\"", "X-B: 2", "Set-Cookie: a=1"},
    };
    for (const SetCookie mode : {SetCookie::kRefuse, SetCookie::kStrip, SetCookie::kStore}) {
        for (const Message& message : responses) {
            const Fields fields = message;
            Policy policy;
            policy.set_cookie = mode;
            const FieldJudge judge(fields, policy);
            for (const Field& field : fields) {
                EXPECT_EQ(judge.may_store(field.name), is_storable_field(field.name, fields, policy)) << field.name;
            }
        }
    }
}

TEST(FieldJudge, a_stripped_cookie_is_for_the_client_that_asked_and_what_connection_names_for_nobody) {
    const Message message({"Set-Cookie: a=1", "Connection: X-A", "X-A: 1", "X-B: 2", "Upgrade: h2c"});
    const Fields fields = message;
    Policy policy;
    policy.set_cookie = SetCookie::kStrip;
    const FieldJudge judge(fields, policy);
    EXPECT_FALSE(judge.may_store("Set-Cookie"));
    EXPECT_TRUE(judge.is_for_leader("Set-Cookie"));
    EXPECT_FALSE(judge.is_for_leader("X-A"));
    EXPECT_FALSE(judge.is_for_leader("Upgrade"));
}

}  // namespace
}  // namespace slab_cache::http
