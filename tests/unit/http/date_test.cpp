#include "http/date.h"

#include <gtest/gtest.h>

#include <ctime>

#include "builder.h"

namespace slab_cache::http {
namespace {

constexpr int64_t kSample = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT

TEST(HttpDate, imf_fixdate_is_read) { EXPECT_EQ(parse_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow), kSample); }

TEST(HttpDate, rfc_850_is_read) { EXPECT_EQ(parse_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow), kSample); }

TEST(HttpDate, asctime_is_read) {
    EXPECT_EQ(parse_date("Sun Nov  6 08:49:37 1994", kNow), kSample);
    EXPECT_EQ(parse_date("Wed Nov 16 08:49:37 1994", kNow), kSample + 10 * 86400);
}

TEST(HttpDate, names_and_zone_are_read_in_any_case) {
    EXPECT_EQ(parse_date("SUN, 06 nOV 1994 08:49:37 gmt", kNow), kSample);
}

TEST(HttpDate, a_zone_other_than_gmt_is_no_date) {
    for (const char* zone : {"UTC", "AEST", "EST", "+0000", "Z", ""}) {
        EXPECT_FALSE(parse_date("Sun, 06 Nov 1994 08:49:37 " + std::string(zone), kNow)) << zone;
    }
}

TEST(HttpDate, digits_commas_and_spaces_are_strict) {
    for (const char* text : {"",
                             "0",
                             "-1",
                             "Sun",
                             "Sun, 6 Nov 1994 08:49:37 GMT",
                             "Sun, 06 Nov 94 08:49:37 GMT",
                             "Sun, 06 Nov 1994 8:49:37 GMT",
                             "Sun 06 Nov 1994 08:49:37 GMT",
                             "Sun,  06 Nov 1994 08:49:37 GMT",
                             "Sun, 06  Nov 1994 08:49:37 GMT",
                             "Sun, 06-Nov-1994 08:49:37 GMT",
                             "Sun, 06 Nov 1994 08.49.37 GMT",
                             "Sun, 06 Nov 1994 08:49 GMT",
                             "Sun, 06 Nov 1994 08:49:37 GMT ",
                             " Sun, 06 Nov 1994 08:49:37 GMT",
                             "Sun, 06 Nov 1994 08:49:37 GMTx",
                             "Sunday, 06 Nov 1994 08:49:37 GMT",
                             "Sun, 06-Nov-94 08:49:37 GMT",
                             "Sun Nov 6 08:49:37 1994",
                             "Sun Nov 06 08:49:37 94",
                             "Sun Nov  6 08:49:37 1994 GMT",
                             "Fun, 06 Nov 1994 08:49:37 GMT",
                             "Sun, 06 Foo 1994 08:49:37 GMT"}) {
        EXPECT_FALSE(parse_date(text, kNow)) << text;
    }
}

TEST(HttpDate, days_and_times_that_do_not_exist_are_no_dates) {
    for (const char* text :
         {"Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 29 Feb 1995 08:49:37 GMT",
          "Sun, 29 Feb 1900 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
          "Sun, 06 Nov 1994 08:49:61 GMT"}) {
        EXPECT_FALSE(parse_date(text, kNow)) << text;
    }
}

TEST(HttpDate, leap_days_and_leap_seconds_exist) {
    EXPECT_EQ(parse_date("Tue, 29 Feb 2000 00:00:00 GMT", kNow), 951782400);
    EXPECT_EQ(parse_date("Thu, 31 Dec 1998 23:59:60 GMT", kNow), 915148800);
}

TEST(HttpDate, a_two_digit_year_lies_at_most_fifty_years_ahead) {
    const int64_t now = 1'700'000'000;  // 2023
    EXPECT_EQ(parse_date("Sunday, 06-Nov-94 08:49:37 GMT", now), kSample);
    EXPECT_EQ(date(*parse_date("Tuesday, 06-Nov-70 00:00:00 GMT", now)).substr(12, 4), "2070");
    EXPECT_EQ(date(*parse_date("Tuesday, 06-Nov-74 00:00:00 GMT", now)).substr(12, 4), "1974");
}

TEST(HttpDate, a_two_digit_year_may_belong_to_the_next_century) {
    const int64_t in_2090 = 3'800'000'000;
    EXPECT_EQ(date(*parse_date("Sunday, 06-Nov-05 00:00:00 GMT", in_2090)).substr(12, 4), "2105");
}

TEST(HttpDate, written_dates_are_imf_fixdate) {
    EXPECT_EQ(date(kSample), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(date(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
    EXPECT_EQ(date(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    EXPECT_EQ(date(INT64_MIN), "Sat, 01 Jan 0000 00:00:00 GMT");
}

// Against the C library, day by day with changing clocks.
TEST(HttpDate, writing_agrees_with_the_c_library) {
    for (int64_t time = -70'000'000'000; time < 250'000'000'000; time += 86'399'977) {
        const time_t t = time;
        std::tm parts{};
        gmtime_r(&t, &parts);
        if (parts.tm_year + 1900 < 0 || parts.tm_year + 1900 > 9999) {
            continue;
        }
        char expected[64];
        std::snprintf(expected, sizeof(expected), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                      &"SunMonTueWedThuFriSat"[parts.tm_wday * 3], parts.tm_mday,
                      &"JanFebMarAprMayJunJulAugSepOctNovDec"[parts.tm_mon * 3], parts.tm_year + 1900, parts.tm_hour,
                      parts.tm_min, parts.tm_sec);
        ASSERT_EQ(date(time), expected) << time;
        ASSERT_EQ(parse_date(expected, kNow), time);
    }
}

}  // namespace
}  // namespace slab_cache::http
