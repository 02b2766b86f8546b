// tests/unit/http/builder.h — messages out of text, and times out of dates.
#pragma once

#include <algorithm>
#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/date.h"
#include "http/fields.h"
#include "http/freshness.h"
#include "http/message.h"
#include "http/policy.h"

namespace slab_cache::http {

inline constexpr int64_t kNow = 1'000'000'000;  // Sun, 09 Sep 2001 01:46:40 GMT

inline std::string date(int64_t time) {
    char out[kDateBytes];
    format_date(time, out);
    return {out, kDateBytes};
}

// Owns field lines: Message({"Age: 1", "Date: …"}). The value is what follows ": ", as it is.
class Message {
public:
    Message() = default;
    Message(std::initializer_list<std::string> lines) {
        for (const std::string& line : lines) {
            add(line);
        }
    }
    // A copy's fields would point into what it was copied from.
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;
    void add(const std::string& line) {
        const size_t at = line.find(':');
        add(line.substr(0, at), line.substr(std::min(line.size(), at + 2)));
    }
    void add(std::string name, std::string value) {
        text_.push_back(std::move(name));
        text_.push_back(std::move(value));
        list_.push_back({text_[text_.size() - 2], text_[text_.size() - 1]});
    }
    operator Fields() const { return {list_.data(), list_.size()}; }  // NOLINT: meant to be implicit

private:
    std::deque<std::string> text_;  // stays where it is when it grows
    std::vector<Field> list_;
};

// A response received at kNow, asked for in the same second.
inline Response response(uint16_t status, const Message& message) { return {status, message, kNow, kNow}; }

inline Freshness freshness(const Message& message, const Policy& policy = {}, uint16_t status = 200) {
    return evaluate_freshness(response(status, message), policy, 0);
}

}  // namespace slab_cache::http
