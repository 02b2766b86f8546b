// What a memcached sends, in pieces whose size the first byte decides. How the bytes are cut makes no difference; what a reply says of
// its length holds; a value that is too large is passed over.
#include <string>

#include "cache/memcached_reply.h"
#include "fuzz/fuzz.h"

using namespace slab_cache;
using namespace slab_cache::cache;

namespace {

constexpr uint64_t kMaxValue = 256;

std::string told(const MemcachedReply& r) {
    return std::to_string(static_cast<int>(r.status)) + ":" + std::string(r.value) + ":" + std::string(r.text) + ":" +
           std::to_string(r.won) + std::to_string(r.is_taken) + std::to_string(r.is_stale) + ":" +
           std::to_string(r.client_flags) + ":" + std::to_string(r.ttl_sec) + ":" + std::to_string(r.cas) + "\n";
}

// Everything that was read, until the end or nonsense. It keeps no more than one reply and one piece.
std::string read_all(Bytes bytes, size_t piece) {
    std::string all;
    std::string held;
    uint64_t skip = 0;
    uint64_t promised = 0;
    for (size_t at = 0; at < bytes.size(); at += piece) {
        const Bytes more = base::slice(bytes, at, piece);
        held.append(more.substr(skip < more.size() ? skip : more.size()));
        skip -= skip < more.size() ? skip : more.size();
        for (bool goes_on = !held.empty(); goes_on;) {
            MemcachedReply reply;
            const std::string exact(held);
            const MemcachedRead read = read_memcached(exact, kMaxValue, &reply);
            http::check(http::is_inside(reply.value, exact) && http::is_inside(reply.text, exact));
            switch (read.next) {
            case MemcachedNext::kBroken:
                return all + "broken";
            case MemcachedNext::kMore:
                http::check(read.bytes == 0 || read.bytes > held.size());
                http::check(promised == 0 || promised == read.bytes);
                promised = read.bytes;
                goes_on = false;
                break;
            case MemcachedNext::kReply:
                http::check(read.bytes != 0 && read.bytes <= held.size() && reply.value.size() <= kMaxValue);
                http::check(promised == 0 || promised == read.bytes);
                promised = 0;
                all += told(reply);
                held.erase(0, read.bytes);
                goes_on = !held.empty();
                break;
            case MemcachedNext::kTooLarge:
                http::check(read.bytes > kMaxValue && read.bytes <= kMaxMemcachedLine + kMaxMemcachedValue + 2);
                all += "large\n";
                skip = read.bytes > held.size() ? read.bytes - held.size() : 0;
                held.erase(0, read.bytes > held.size() ? held.size() : read.bytes);
                goes_on = !held.empty();
                break;
            }
        }
        http::check(held.size() <= kMaxMemcachedLine + kMaxValue + 2);
    }
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const Bytes bytes = base::slice(http::input(data, size), 1, 8192);
    http::check(read_all(bytes, SIZE_MAX / 2) == read_all(bytes, 1 + data[0]));
    return 0;
}
