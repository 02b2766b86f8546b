// Three lines: a glob to drop, a glob to keep, the arguments. Key and fill hold the same arguments,
// twice is as good as once.
#include <algorithm>
#include <string>

#include "fuzz/fuzz.h"
#include "http/args.h"

using namespace slab_cache::http;

namespace {

std::string run(size_t (*write)(Bytes, const ArgsPolicy&, char*, size_t) noexcept, Bytes args,
                const ArgsPolicy& policy) {
    std::string out(args.size(), '\0');
    const size_t length = write(args, policy, out.data(), out.size());
    check(length <= args.size());
    out.resize(length);
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::vector<Field> lines = lines_of(input(data, size), "");
    if (lines.size() < 3 || size > 4096) {
        return 0;
    }
    ArgsPolicy policy;
    policy.sort = size % 2 == 0;
    policy.drop = &lines[0].value;
    policy.drop_count = 1;
    policy.only = &lines[1].value;
    policy.only_count = lines[1].value.empty() ? 0 : 1;
    const Bytes args = lines[2].value;
    const std::string key = run(canonical_args, args, policy);
    const std::string fill = run(fill_args, args, policy);
    check(key.size() == fill.size());
    std::string a = key;
    std::string b = fill;
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    check(a == b);
    check(run(canonical_args, key, policy) == key);
    check(run(fill_args, fill, policy) == fill);
    return 0;
}
