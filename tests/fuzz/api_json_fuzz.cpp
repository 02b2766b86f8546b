// Bodies of purge requests. Byte 0: after how many blocks memory runs out (255: never). What is accepted selects something,
// what is refused says why in words that fit; twice the same body is the same purge.
#include <cstring>

#include "cache/purge_json.h"
#include "fuzz/selection.h"

using namespace slab_cache;
using namespace slab_cache::cache;

namespace {

struct Keys {
    Selection* to;
    size_t count = 0;
};

bool put(Bytes key, void* data) noexcept {
    auto* keys = static_cast<Keys*>(data);
    keys->count++;
    return select_tag(keys->to, key);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1) {
        return 0;
    }
    const Bytes body = http::input(data + 1, size - 1);
    test::Memory memory(data[0] == 255 ? static_cast<size_t>(-1) : data[0]);
    Selection s = test::selection_in(&memory);
    Problem problem;
    const bool ok = read_purge_json(body, &s, &problem);
    test::check_selection(s);
    http::check(ok ? !is_empty(s) && problem.size == 0 : problem.size != 0 && problem.size <= sizeof(problem.text));
    if (ok) {
        test::Memory more;
        Selection again = test::selection_in(&more);
        http::check(read_purge_json(body, &again, &problem) && again.count == s.count && again.all == s.all &&
                    again.soft == s.soft && again.accepted == s.accepted && again.glob_count == s.glob_count &&
                    std::memcmp(again.selector, s.selector, s.count * sizeof(uint64_t)) == 0);
    }
    test::Memory few;
    Selection tags = test::selection_in(&few);
    http::check(make_room(&tags, 256));
    Keys keys{&tags};
    if (read_surrogate_keys(body, put, &keys)) {
        http::check(keys.count == tags.accepted && tags.count == tags.accepted);
    }
    test::check_selection(tags);
    return 0;
}
