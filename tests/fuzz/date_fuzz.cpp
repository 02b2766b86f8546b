// A date that is read is written and read again as the same second.
#include "fuzz/fuzz.h"
#include "http/date.h"

using namespace slab_cache::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const int64_t now = 1'000'000'000;
    const std::optional<int64_t> time = parse_date(input(data, size), now);
    if (time) {
        char out[kDateBytes];
        format_date(*time, out);
        const std::optional<int64_t> again = parse_date({out, kDateBytes}, now);
        // The leap second after year 9999 is the one time that cannot be written.
        check(again == time || *time == 253402300800);
    }
    return 0;
}
