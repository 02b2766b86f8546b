// Links of a response: whatever the bytes, hints fit the buffer, and reading them again gives the same.
#include <string>

#include "fuzz/fuzz.h"
#include "http/early_hints.h"

using namespace slab_cache::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::vector<Field> lines = lines_of(input(data, size), "Link");
    const Fields response{lines.data(), lines.size()};
    std::string out(2 * size + 4, '\0');
    const size_t n = hints_of(response, out.data(), out.size());
    check(n <= out.size());
    const Field again[] = {{"Link", {out.data(), n}}};
    std::string second(n + 4, '\0');
    check(hints_of({again, 1}, second.data(), second.size()) == n && second.compare(0, n, out, 0, n) == 0);
    std::string little(n / 2, '\0');
    check(hints_of(response, little.data(), little.size()) <= little.size());
    return 0;
}
