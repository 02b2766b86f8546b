// tests/support/redis_text.h — replies of a Redis server, written for a test and read by the reader.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cache/redis_reply.h"

namespace slab_cache::test {

inline std::string bulk(const std::string& text) { return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n"; }

using Fields = std::vector<std::pair<std::string, std::string>>;

// [id, [field, value, …]]
inline std::string entry_text(const std::string& id, const Fields& fields) {
    std::string text = "*2\r\n" + bulk(id) + "*" + std::to_string(2 * fields.size()) + "\r\n";
    for (const auto& f : fields) {
        text += bulk(f.first) + bulk(f.second);
    }
    return text;
}

// One reply, kept for as long as this lives.
class Told {
public:
    explicit Told(std::string text) : text_(std::move(text)) {
        if (reader_.open({})) {
            reader_.feed(text_);
            (void) reader_.next(&reply_);
        }
    }
    ~Told() { reader_.close(); }
    Told(const Told&) = delete;
    Told& operator=(const Told&) = delete;
    bool ok() const { return reply_ != nullptr; }
    const cache::Reply& reply() const { return *reply_; }

private:
    std::string text_;
    cache::ReplyReader reader_;
    const cache::Reply* reply_ = nullptr;
};

}  // namespace slab_cache::test
