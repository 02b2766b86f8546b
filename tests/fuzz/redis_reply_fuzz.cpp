// What a server sends, in pieces whose sizes its first byte decides. No reply is larger than its bounds, and how the bytes are
// cut makes no difference.
#include <string>

#include "cache/redis_reply.h"
#include "fuzz/fuzz.h"

using namespace slab_cache;
using namespace slab_cache::cache;

namespace {

constexpr ReplyLimits kLimits{4096, 64};

struct Seen {
    std::string text;
    uint32_t values = 0;
};

void look(const Reply& r, Seen* seen, int depth) {
    http::check(depth < 16);
    seen->values++;
    seen->text +=
        std::to_string(static_cast<int>(r.kind)) + ":" + std::to_string(r.integer) + ":" + std::string(r.text) + ";";
    for (uint32_t i = 0; i < r.count; i++) {
        look(r.at(i), seen, depth + 1);
    }
    http::check(r.at(r.count).kind == ReplyKind::kNil);
}

// Everything that was read, until the end or nonsense.
std::string read_all(Bytes bytes, size_t piece) {
    ReplyReader reader;
    std::string all;
    http::check(reader.open(kLimits));
    for (size_t at = 0; at < bytes.size(); at += piece) {
        reader.feed(base::slice(bytes, at, piece));
        const Reply* reply = nullptr;
        while (reader.next(&reply) == ReplyReader::Next::kReply) {
            Seen seen;
            look(*reply, &seen, 0);
            http::check(seen.values <= kLimits.values);
            all += seen.text + "\n";
        }
    }
    reader.close();
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const Bytes bytes = base::slice(http::input(data, size), 1);
    const std::string whole = read_all(base::slice(bytes, 0, 2048), 4096);
    http::check(whole == read_all(base::slice(bytes, 0, 2048), 1 + data[0]));
    (void) read_all(bytes, 1 + data[0]);  // larger than its bounds, perhaps
    return 0;
}
