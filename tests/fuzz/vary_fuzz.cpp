// The first line is Vary, the rest is a request: the spec is canonical, keys are the same for the
// same request and are written in bounds.
#include "fuzz/fuzz.h"
#include "http/vary.h"

using namespace slab_cache::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text = input(data, size);
    const std::string_view first = text.substr(0, text.find('\n'));
    const std::vector<Field> request = fields_of(text.substr(first.size()));
    const Fields fields{request.data(), request.size()};
    const Bytes cookies[] = {"a", "lang"};
    VaryPolicy policy;
    policy.cookies = cookies;
    policy.cookie_count = static_cast<uint32_t>(size % 3);

    const Field vary[] = {{"Vary", first}};
    std::vector<char> spec(size + 1);
    const VarySpec found = build_vary_spec({vary, 1}, policy, spec.data(), spec.size());
    check(found.length <= size);
    const Field again[] = {{"Vary", {spec.data(), found.length}}};
    std::vector<char> spec_again(size + 1);
    const VarySpec same = build_vary_spec({again, 1}, policy, spec_again.data(), spec_again.size());
    check(found.star ||
          (!same.star && same.length == found.length &&
           std::string_view(spec.data(), found.length) == std::string_view(spec_again.data(), same.length)));

    // The spec as built, and as a damaged zone might hold it.
    for (const Bytes from : {Bytes{spec.data(), found.length}, first}) {
        const size_t needed = build_vary_key(from, fields, policy, nullptr, 0);
        std::vector<char> key(needed);
        check(build_vary_key(from, fields, policy, key.data(), needed) == needed);
        std::vector<char> half(needed / 2);
        check(build_vary_key(from, fields, policy, half.data(), half.size()) == needed);
    }
    return 0;
}
