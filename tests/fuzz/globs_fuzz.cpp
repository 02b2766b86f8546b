// Byte 0: how many changes of three bytes are made to a table with rules (it lies in the zone). The rest are lines: a pattern,
// a path, arguments. Matching is what its definition says; judging a damaged table stays inside; an added rule holds.
#include <cstring>
#include <memory>
#include <string>

#include "cache/globs.h"
#include "fuzz/fuzz.h"
#include "http/args.h"

using namespace slab_cache;
using namespace slab_cache::cache;

namespace {

void raise(Bytes host, bool, void* count) {
    http::check(host.size() <= kGlobText);
    ++*static_cast<int*>(count);
}

// Which prefixes of the text the pattern read so far matches: no choice is ever taken back.
bool slow_match(Bytes pattern, Bytes text) {
    std::vector<bool> at(text.size() + 1);
    at[0] = true;
    for (char c : pattern) {
        std::vector<bool> next(text.size() + 1);
        bool any = false;
        for (size_t i = 0; i <= text.size(); i++) {
            any = any || at[i];
            next[i] = c == '*' ? any : i > 0 && at[i - 1] && text[i - 1] == c;
        }
        at = next;
    }
    return at[text.size()];
}

std::unique_ptr<GlobTable> table_with_rules() {
    auto table = std::make_unique<GlobTable>();
    int raised = 0;
    for (uint64_t i = 1; i <= 70; i++) {
        const std::string pattern = "/" + std::to_string(i) + "*.html" + (i % 3 == 0 ? "?a=*" : "");
        http::check(add_glob(table.get(), {"host", pattern, i % 2 == 0}, i, raise, &raised));
    }
    publish_globs(table.get(), 70);
    http::check(raised == 6);
    return table;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::unique_ptr<GlobTable> pristine = table_with_rules();
    if (size < 1 || size > 4096) {
        return 0;
    }
    const size_t changes = data[0];
    Bytes rest = http::input(data + 1, size - 1);
    auto table = std::make_unique<GlobTable>();
    std::memcpy(static_cast<void*>(table.get()), pristine.get(), sizeof(GlobTable));
    for (size_t i = 0; i < changes && rest.size() >= 3; i++, rest.remove_prefix(3)) {
        const size_t where = static_cast<unsigned char>(rest[0]) << 8 | static_cast<unsigned char>(rest[1]);
        reinterpret_cast<char*>(table.get())[where % sizeof(GlobTable)] = rest[2];
    }
    const std::vector<http::Field> lines = http::lines_of(rest, "");
    const Bytes pattern = lines[0].value;
    const Bytes path = lines.size() > 1 ? lines[1].value : Bytes("/x");
    const Bytes args = lines.size() > 2 ? lines[2].value : Bytes{};
    const bool matches = slow_match(pattern, path);
    http::check(glob_matches(pattern, path) == matches && http::glob_match(pattern, path) == matches);

    (void) judge_globs(*table, {"host", path, args}, 3);
    int raised = 0;
    const Glob glob{"host", pattern, false};
    const uint64_t seq = uint64_t{1} << 62;
    const bool added = add_glob(table.get(), glob, seq, raise, &raised);
    publish_globs(table.get(), seq);
    http::check(!added || fits_rule(glob));
    http::check(added || changes != 0 || !fits_rule(glob));
    if (added && matches && pattern.find('?') == Bytes::npos) {
        http::check(judge_globs(*table, {"host", path, args}, seq - 1) == GlobAnswer::kHard);
    }
    return 0;
}
