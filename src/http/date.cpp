#include "http/date.h"

#include "http/syntax.h"

namespace slab_cache::http {

namespace {

constexpr Bytes kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr Bytes kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr size_t kShortest = 24;  // asctime()'s form
constexpr int64_t kSecondsPerDay = 86400;
constexpr int64_t kFiftyYears = 50LL * 31556952;  // of the mean Gregorian year

struct Civil {
    int64_t year = 0;
    int month = 0;  // 1 to 12
    int day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
};

// Days since 1970-01-01 in the proleptic Gregorian calendar; years are counted from March, so that
// the leap day comes last.
constexpr int64_t days_of(int64_t year, int month, int day) noexcept {
    year -= month <= 2 ? 1 : 0;
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

constexpr void civil_of(int64_t days, Civil* out) noexcept {
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t day_of_era = days - era * 146097;
    const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t shifted = (5 * day_of_year + 2) / 153;
    out->day = static_cast<int>(day_of_year - (153 * shifted + 2) / 5 + 1);
    out->month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
    out->year = year_of_era + era * 400 + (out->month <= 2 ? 1 : 0);
}

constexpr int64_t kTimeMin = days_of(0, 1, 1) * kSecondsPerDay;
constexpr int64_t kTimeEnd = days_of(10000, 1, 1) * kSecondsPerDay;

bool is_leap(int64_t year) noexcept { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

bool is_possible(const Civil& c) noexcept {
    constexpr int kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int length = kLengths[c.month - 1] + (c.month == 2 && is_leap(c.year) ? 1 : 0);
    return c.day >= 1 && c.day <= length && c.hour <= 23 && c.minute <= 59 && c.second <= 60;
}

int64_t time_of(const Civil& c) noexcept {
    const int64_t clock = c.hour * 3600 + c.minute * 60 + c.second;
    return days_of(c.year, c.month, c.day) * kSecondsPerDay + clock;
}

// Eats a date from left to right; ok() turns false at the first thing that is not as it must be.
class Cursor {
public:
    explicit Cursor(Bytes text) noexcept : rest_(text) {}
    bool ok() const noexcept { return ok_; }
    bool at_end() const noexcept { return ok_ && rest_.empty(); }

    bool accept(Bytes expected) noexcept {
        if (!base::equal_nocase(base::slice(rest_, 0, expected.size()), expected)) {
            return false;
        }
        rest_ = base::slice(rest_, expected.size());
        return true;
    }
    void expect(Bytes expected) noexcept { ok_ = accept(expected) && ok_; }

    int number(size_t digits) noexcept {
        int value = 0;
        for (size_t i = 0; i < digits; i++) {
            if (i >= rest_.size() || !is_digit(rest_[i])) {
                ok_ = false;
                return 0;
            }
            value = value * 10 + (rest_[i] - '0');
        }
        rest_ = base::slice(rest_, digits);
        return value;
    }

    int month() noexcept {
        for (int i = 0; i < 12; i++) {
            if (accept(base::slice(kMonths, static_cast<size_t>(i) * 3, 3))) {
                return i + 1;
            }
        }
        ok_ = false;
        return 1;
    }

    void clock(Civil* c) noexcept {
        c->hour = number(2);
        expect(":");
        c->minute = number(2);
        expect(":");
        c->second = number(2);
    }

private:
    Bytes rest_;
    bool ok_ = true;
};

// "06 Nov 1994 08:49:37 GMT", after the weekday and its comma
void read_imf(Cursor* cursor, Civil* c) noexcept {
    c->day = cursor->number(2);
    cursor->expect(" ");
    c->month = cursor->month();
    cursor->expect(" ");
    c->year = cursor->number(4);
    cursor->expect(" ");
    cursor->clock(c);
    cursor->expect(" GMT");
}

// "06-Nov-94 08:49:37 GMT": the century that brings the date closest to now.
void read_rfc850(Cursor* cursor, Civil* c, int64_t now) noexcept {
    c->day = cursor->number(2);
    cursor->expect("-");
    c->month = cursor->month();
    cursor->expect("-");
    const int year = cursor->number(2);
    cursor->expect(" ");
    cursor->clock(c);
    cursor->expect(" GMT");
    const int64_t clamped = now < kTimeMin ? kTimeMin : now < kTimeEnd ? now : kTimeEnd - 1;
    Civil today;
    civil_of((clamped - kTimeMin) / kSecondsPerDay + kTimeMin / kSecondsPerDay, &today);
    c->year = today.year / 100 * 100 + year;
    if (time_of(*c) > clamped + kFiftyYears) {
        c->year -= 100;
    } else if (time_of(*c) <= clamped - kFiftyYears) {
        c->year += 100;
    }
}

// "Nov  6 08:49:37 1994"
void read_asctime(Cursor* cursor, Civil* c) noexcept {
    c->month = cursor->month();
    cursor->expect(" ");
    c->day = cursor->accept(" ") ? cursor->number(1) : cursor->number(2);
    cursor->expect(" ");
    cursor->clock(c);
    cursor->expect(" ");
    c->year = cursor->number(4);
}

constexpr uint32_t letters(const char* p) noexcept {
    return static_cast<uint32_t>(static_cast<unsigned char>(p[0])) << 16 |
           static_cast<uint32_t>(static_cast<unsigned char>(p[1])) << 8 | static_cast<unsigned char>(p[2]);
}

// The month that these three letters, in their usual case, name; 0 for none.
int usual_month(const char* p) noexcept {
    switch (letters(p)) {
    case letters("Jan"):
        return 1;
    case letters("Feb"):
        return 2;
    case letters("Mar"):
        return 3;
    case letters("Apr"):
        return 4;
    case letters("May"):
        return 5;
    case letters("Jun"):
        return 6;
    case letters("Jul"):
        return 7;
    case letters("Aug"):
        return 8;
    case letters("Sep"):
        return 9;
    case letters("Oct"):
        return 10;
    case letters("Nov"):
        return 11;
    case letters("Dec"):
        return 12;
    default:
        return 0;
    }
}

bool usual_weekday(const char* p) noexcept {
    switch (letters(p)) {
    case letters("Mon"):
    case letters("Tue"):
    case letters("Wed"):
    case letters("Thu"):
    case letters("Fri"):
    case letters("Sat"):
    case letters("Sun"):
        return true;
    default:
        return false;
    }
}

// The form that servers send, in its usual case. False says nothing: the slow way decides.
bool read_usual(Bytes text, Civil* c) noexcept {
    if (text.size() != kDateBytes) {
        return false;
    }
    const char* p = text.data();
    constexpr uint8_t kDigits[] = {5, 6, 12, 13, 14, 15, 17, 18, 20, 21, 23, 24};
    bool ok = p[3] == ',' && p[4] == ' ' && p[7] == ' ' && p[11] == ' ' && p[16] == ' ' && p[19] == ':' &&
              p[22] == ':' && std::memcmp(p + 25, " GMT", 4) == 0 && usual_weekday(p);
    for (const uint8_t at : kDigits) {
        ok = ok && is_digit(p[at]);
    }
    if (!ok) {
        return false;
    }
    const auto two = [p](size_t at) noexcept { return (p[at] - '0') * 10 + (p[at + 1] - '0'); };
    c->day = two(5);
    c->month = usual_month(p + 8);
    c->year = two(12) * 100 + two(14);
    c->hour = two(17);
    c->minute = two(20);
    c->second = two(23);
    return c->month != 0;
}

}  // namespace

std::optional<int64_t> parse_date(Bytes text, int64_t now) noexcept {
    Civil c;
    if (text.size() < kShortest) {
        return std::nullopt;
    }
    if (read_usual(text, &c)) {
        return is_possible(c) ? std::optional<int64_t>(time_of(c)) : std::nullopt;
    }
    c = {};
    Cursor cursor(text);
    for (const Bytes day : kDays) {
        if (cursor.accept(day)) {
            cursor.expect(", ");
            read_rfc850(&cursor, &c, now);
            break;
        }
        if (cursor.accept(base::slice(day, 0, 3))) {
            if (cursor.accept(", ")) {
                read_imf(&cursor, &c);
            } else {
                cursor.expect(" ");
                read_asctime(&cursor, &c);
            }
            break;
        }
    }
    if (c.month == 0 || !cursor.at_end() || !is_possible(c)) {
        return std::nullopt;
    }
    return time_of(c);
}

void format_date(int64_t time, char out[kDateBytes]) noexcept {
    time = time < kTimeMin ? kTimeMin : time < kTimeEnd ? time : kTimeEnd - 1;
    const int64_t from_start = time - kTimeMin;  // never negative: division rounds down
    const int64_t days = from_start / kSecondsPerDay + kTimeMin / kSecondsPerDay;
    const int64_t clock = from_start % kSecondsPerDay;
    Civil c;
    civil_of(days, &c);
    const auto digits = [out](size_t at, int64_t value, size_t count) noexcept {
        for (size_t i = count; i-- > 0; value /= 10) {
            out[at + i] = static_cast<char>('0' + value % 10);
        }
    };
    std::memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", kDateBytes);
    // 1970-01-01 was a Thursday; the offset keeps the remainder positive for all years from 0 on.
    const size_t weekday = static_cast<size_t>((days + 4 + 7LL * 200000) % 7);
    std::memcpy(out, kDays[weekday].data(), 3);
    digits(5, c.day, 2);
    std::memcpy(out + 8, kMonths.data() + static_cast<size_t>(c.month - 1) * 3, 3);
    digits(12, c.year, 4);
    digits(17, clock / 3600, 2);
    digits(20, clock / 60 % 60, 2);
    digits(23, clock % 60, 2);
}

}  // namespace slab_cache::http
