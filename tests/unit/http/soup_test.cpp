// Seeded random header soups: the parsers against slow, obvious readings of the same grammar.
#include <gtest/gtest.h>
#include <regex.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <random>

#include "builder.h"
#include "http/cache_control.h"
#include "http/structured.h"
#include "http/syntax.h"

namespace slab_cache::http {
namespace {

class Soup {
public:
    explicit Soup(uint32_t seed) : random_(seed) {}
    size_t below(size_t n) { return random_() % n; }
    // Up to `most` pieces in a row.
    template <size_t N>
    std::string of(const char* const (&pieces)[N], size_t most) {
        std::string out;
        for (size_t n = below(most + 1); n > 0; n--) {
            out += pieces[below(N)];
        }
        return out;
    }

private:
    std::mt19937 random_;
};

// A POSIX extended regular expression over whole texts. (GCC 12 warns inside std::regex under
// ASan.)
class Pattern {
public:
    explicit Pattern(const std::string& text) {
        EXPECT_EQ(regcomp(&compiled_, ("^(" + text + ")$").c_str(), REG_EXTENDED), 0) << text;
    }
    ~Pattern() { regfree(&compiled_); }
    Pattern(const Pattern&) = delete;
    Pattern& operator=(const Pattern&) = delete;

    // Appends the whole and then the groups of the pattern.
    bool match(const std::string& text, std::vector<std::string>* groups = nullptr) const {
        regmatch_t found[12];
        if (regexec(&compiled_, text.c_str(), 12, found, 0) != 0) {
            return false;
        }
        for (size_t i = 1; groups != nullptr && i < 12; i++) {
            const regmatch_t& at = found[i];
            groups->push_back(
                at.rm_so < 0 ? ""
                             : text.substr(static_cast<size_t>(at.rm_so), static_cast<size_t>(at.rm_eo - at.rm_so)));
        }
        return true;
    }

private:
    regex_t compiled_;
};

// ---- Cache-Control, the obvious way: cut into members, then look at each with a pattern

std::string lowered(std::string text) {
    for (char& c : text) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return text;
}

std::string stripped(const std::string& text) {
    const size_t from = text.find_first_not_of(" \t");
    return from == std::string::npos ? "" : text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

// Members of one line; nullopt when a string is not closed.
std::optional<std::vector<std::string>> cut(const std::string& line) {
    std::vector<std::string> out(1);
    bool quoted = false;
    bool escaped = false;
    for (const char c : line) {
        if (!quoted && c == ',') {
            out.emplace_back();
            continue;
        }
        out.back() += c;
        if (escaped) {
            escaped = false;
        } else if (quoted && c == '\\') {
            escaped = true;
        } else if (c == '"') {
            quoted = !quoted;
        }
    }
    return quoted ? std::nullopt : std::optional(out);
}

struct Expected {
    bool no_store = false;
    bool no_cache = false;
    bool is_public = false;
    int64_t max_age = kAbsent;
    int64_t s_maxage = kAbsent;
};

Expected read_slowly(const std::vector<std::string>& lines) {
    static const Pattern kNumber("[^=]*=(\"([0-9]+)\"|([0-9]+))");
    Expected out;
    for (const std::string& line : lines) {
        const auto members = cut(line);
        if (!members) {
            out.no_store = true;
            return out;  // the rest does not matter any more
        }
        for (const std::string& raw : *members) {
            const std::string member = lowered(stripped(raw));
            const std::string name = stripped(member.substr(0, member.find('=')));
            for (int64_t* slot : {&out.max_age, &out.s_maxage}) {
                if (name == (slot == &out.max_age ? "max-age" : "s-maxage") && *slot == kAbsent) {
                    std::vector<std::string> match;
                    *slot = 0;
                    if (kNumber.match(member, &match) && member.find_first_of(" \t") == std::string::npos) {
                        const std::string digits = match[2] + match[3];
                        const double value = std::stod(digits);
                        *slot = value >= 2147483648.0 ? kDeltaMax : static_cast<int64_t>(value);
                    }
                }
            }
            out.no_store |= name == "no-store";
            out.is_public |= member == "public";
            out.no_cache |= member == "no-cache";
        }
    }
    return out;
}

TEST(CacheControlSoup, agrees_with_a_slow_reading) {
    const char* const pieces[] = {"max-age=60",
                                  "Max-Age=0",
                                  "max-age=\"7\"",
                                  "max-age=-1",
                                  "max-age=99999999999999",
                                  "s-maxage=5",
                                  "S-MAXAGE=0005",
                                  "s-maxage=1.5",
                                  "max-age =3",
                                  "max-age= 3",
                                  "max-age",
                                  "no-store",
                                  "NO-STORE",
                                  "no-cache",
                                  "public",
                                  "public=1",
                                  "ext=\"a, max-age=9, no-store\"",
                                  "ext=\"\\\"\"",
                                  "ext='x'",
                                  "\"",
                                  "x",
                                  "=",
                                  "private"};
    const char* const separators[] = {",", ", ", " ,", ",,", "\t,\t"};
    for (uint32_t seed = 0; seed < 20000; seed++) {
        Soup soup(seed);
        std::vector<std::string> lines(1 + soup.below(3));
        Message message;
        for (std::string& line : lines) {
            for (size_t n = soup.below(5); n > 0; n--) {
                line += soup.of(pieces, 1) + separators[soup.below(5)];
            }
            message.add("Cache-Control", line);
        }
        const CacheControl found = parse_cache_control(message);
        const Expected expected = read_slowly(lines);
        if (std::any_of(lines.begin(), lines.end(), [](const auto& line) { return !cut(line); })) {
            ASSERT_TRUE(found.no_store) << "seed " << seed;
            continue;
        }
        ASSERT_EQ(found.no_store, expected.no_store) << "seed " << seed;
        ASSERT_EQ(found.no_cache, expected.no_cache) << "seed " << seed;
        ASSERT_EQ(found.is_public, expected.is_public) << "seed " << seed;
        ASSERT_EQ(found.max_age, expected.max_age) << "seed " << seed;
        ASSERT_EQ(found.s_maxage, expected.s_maxage) << "seed " << seed;
    }
}

// ---- dictionaries: RFC 9651's grammar as one regular expression

const std::string kKey = "[a-z*][a-z0-9_.*-]*";
const std::string kBare =
    "(-?[0-9]{1,15}|-?[0-9]{1,12}\\.[0-9]{1,3}|\"([] !#-[^-~]|\\\\[\"\\])*\"|"
    "[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*|:[A-Za-z0-9+/=]*:|\\?[01]|@-?[0-9]{1,15})";
const std::string kParameters = "(; *" + kKey + "(=" + kBare + ")?)*";
const std::string kInner = "\\( *(" + kBare + kParameters + "( +" + kBare + kParameters + ")*)? *\\)";
const std::string kMember = kKey + "(=(" + kBare + "|" + kInner + ")" + kParameters + "|" + kParameters + ")";

TEST(DictionarySoup, agrees_with_the_grammar_as_a_regular_expression) {
    const Pattern grammar(" *(" + kMember + "([ \t]*,[ \t]*" + kMember + ")*)?[ \t]*");
    const char* const pieces[] = {"a",       "b",   "max-age", "=",   "=",  "=60",       "=-1",
                                  "=1.5",    ",",   ", ",      ",",   ";x", ";",         "=\"s\"",
                                  "=?1",     "=?0", "=(1 2)",  "=()", " ",  "\t",        "=tok",
                                  "=:YQ==:", "=@5", "*",       "A",   "\"", "=\"\\\"\"", "=1234567890123456",
                                  "=1.",     "(",   ")"};
    size_t accepted = 0;
    for (uint32_t seed = 0; seed < 60000; seed++) {
        Soup soup(seed);
        const std::string line = soup.of(pieces, 9);
        StructuredReader reader(line);
        Item item;
        while (reader.next_dictionary_member(&item)) {
        }
        // A line of blanks only: HTAB is no leading blank (RFC 9651 §4.2), and parsers of fields
        // strip both.
        if (line.find_first_not_of(" \t") == std::string::npos) {
            continue;
        }
        accepted += reader.failed() ? 0 : 1;
        ASSERT_EQ(!reader.failed(), grammar.match(line)) << "seed " << seed << ": " << line;
    }
    EXPECT_GT(accepted, 1000u);  // else the soup is too thin to show anything
}

// ---- dates: the three grammars as regular expressions, the calendar by counting days

int64_t seconds_by_counting(int year, int month, int day, int clock) {
    int64_t days = 0;
    const auto leap = [](int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; };
    for (int y = 1970; y < year; y++) {
        days += leap(y) ? 366 : 365;
    }
    for (int y = year; y < 1970; y++) {
        days -= leap(y) ? 366 : 365;
    }
    const int lengths[] = {31, leap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int m = 1; m < month; m++) {
        days += lengths[m - 1];
    }
    if (day < 1 || day > lengths[month - 1]) {
        return INT64_MIN;
    }
    return (days + day - 1) * 86400 + clock;
}

std::optional<int64_t> date_slowly(const std::string& text) {
    static const std::string kMonth = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)";
    static const std::string kClock = "([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)";
    static const Pattern kImf("(sun|mon|tue|wed|thu|fri|sat), ([0-9]{2}) " + kMonth + " ([0-9]{4}) " + kClock + " gmt");
    static const Pattern kRfc850("(sun|mon|tues|wednes|thurs|fri|satur)day, ([0-9]{2})-" + kMonth + "-([0-9]{2}) " +
                                 kClock + " gmt");
    static const Pattern kAsctime("(sun|mon|tue|wed|thu|fri|sat) " + kMonth + " ([0-9]{2}| [0-9]) " + kClock +
                                  " ([0-9]{4})");
    const std::string low = lowered(text);
    std::vector<std::string> m;
    const bool asctime = kAsctime.match(low, &m);
    const bool rfc850 = !asctime && kRfc850.match(low, &m);
    if (!asctime && !rfc850 && !kImf.match(low, &m)) {
        return std::nullopt;
    }
    const std::string names = "janfebmaraprmayjunjulaugsepoctnovdec";
    const int month = static_cast<int>(names.find(m[asctime ? 2 : 3]) / 3) + 1;
    const int day = std::stoi(m[asctime ? 3 : 2]);
    const int first = asctime ? 4 : 5;  // the clock's group
    int year = std::stoi(m[asctime ? 7 : 4]);
    if (rfc850) {
        year += year > 51 ? 1900 : 2000;  // as seen from 2001, but for the months at the edge
    }
    const int clock = std::stoi(m[first]) * 3600 + std::stoi(m[first + 1]) * 60 + std::stoi(m[first + 2]);
    const int64_t time = seconds_by_counting(year, month, day, clock);
    return time == INT64_MIN ? std::nullopt : std::optional(time);
}

TEST(DateSoup, agrees_with_a_slow_reading) {
    const char* const days[] = {"Sun, ", "sunday, ", "Mon ", "WED, ", "Thursday, ", "Sat ", "Foo, ", ""};
    const char* const numbers[] = {"06 ", "31 ", "29-", " 6 ", "6 ", "00 ", "15-"};
    const char* const months[] = {"Nov", "FEB", "jun", "Foo"};
    const char* const years[] = {" 1994 ", " 2000 ", "-94 ", "-04 ", " 94 ", "-1994 ", " "};
    const char* const clocks[] = {"08:49:37", "23:59:60", "24:00:00", "8:49:37", "00:00:00"};
    const char* const ends[] = {" GMT", " gmt", " UTC", "", " 1994", " 2004", " GMT "};
    size_t accepted = 0;
    for (uint32_t seed = 0; seed < 60000; seed++) {
        Soup soup(seed);
        const std::string month = months[soup.below(4)];
        const std::string number = numbers[soup.below(7)];
        std::string text = days[soup.below(8)];
        text += soup.below(3) == 0 ? month + " " + number + clocks[soup.below(5)]
                                   : number + month + years[soup.below(7)] + clocks[soup.below(5)];
        text += ends[soup.below(7)];
        const std::optional<int64_t> expected = date_slowly(text);
        accepted += expected ? 1 : 0;
        ASSERT_EQ(parse_date(text, kNow), expected) << "seed " << seed << ": " << text;
    }
    EXPECT_GT(accepted, 300u);
}

// ---- nothing in a header makes freshness misbehave

TEST(FreshnessSoup, any_fields_give_bounded_times) {
    const char* const lines[] = {"Cache-Control: max-age=99999999999",
                                 "Cache-Control: s-maxage=5, stale-if-error=9999999999",
                                 "Age: 99999999999",
                                 "Age: -5",
                                 "X-Accel-Expires: @999999999999999",
                                 "X-Accel-Expires: 99999999999999",
                                 "Expires: Fri, 31 Dec 9999 23:59:59 GMT",
                                 "Expires: 0",
                                 "Date: Sat, 01 Jan 0000 00:00:00 GMT",
                                 "Date: Fri, 31 Dec 9999 23:59:59 GMT",
                                 "CDN-Cache-Control: max-age=999999999999999",
                                 "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT"};
    Policy policy;
    policy.heuristic_percent = UINT32_MAX;
    policy.jitter_percent = UINT32_MAX;
    for (uint32_t seed = 0; seed < 20000; seed++) {
        Soup soup(seed);
        Message message;
        for (size_t n = soup.below(6); n > 0; n--) {
            message.add(lines[soup.below(12)]);
        }
        const Freshness found = freshness(message, policy);
        ASSERT_GE(found.age_at_response, 0) << "seed " << seed;
        ASSERT_LE(found.age_at_response, kDeltaMax) << "seed " << seed;
        ASSERT_LE(found.fresh_until, kNow + kDeltaMax) << "seed " << seed;
        ASSERT_GE(found.fresh_until, kNow - kDeltaMax) << "seed " << seed;
    }
}

}  // namespace
}  // namespace slab_cache::http
