// The first eight bytes are the length, the rest is a Range: every range lies inside, all together
// are no more than the whole.
#include <cstring>

#include "fuzz/fuzz.h"
#include "http/range.h"

using namespace slab_cache::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    uint64_t length = 0;
    if (size < sizeof(length)) {
        return 0;
    }
    std::memcpy(&length, data, sizeof(length));
    RangeSet set;
    parse_ranges(input(data + sizeof(length), size - sizeof(length)), length, &set);
    check(set.count <= kMaxRanges && (set.answer == RangeAnswer::kPartial) == (set.count != 0));
    uint64_t left = length;
    for (uint32_t i = 0; i < set.count; i++) {
        const ByteRange& range = set.ranges[i];
        check(range.first <= range.last && range.last < length && range.length() <= left);
        left -= range.length();
    }
    return 0;
}
