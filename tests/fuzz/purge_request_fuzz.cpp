// A PURGE as lines: method, configured method, host, URI, then fields. Tags win over the URL; a purge of what ends in "/*"
// covers whatever lies below, a purge without stars covers that URL, in any order of its arguments.
#include <string>

#include "cache/purge_request.h"
#include "fuzz/selection.h"

using namespace slab_cache;
using namespace slab_cache::cache;

namespace {

bool covers(const Selection& s, Bytes host, Bytes uri) {
    test::Memory memory;
    Url url;
    uint64_t selector[kMaxUrlSelectors];
    http::check(split_url(memory.arena(), host, uri, &url));
    const uint32_t n = url_selectors(url, test::kSelectionSecret, selector, kMaxUrlSelectors);
    for (uint32_t i = 0; i < n; i++) {
        if (test::has(s, selector[i])) {
            return true;
        }
    }
    return n == 0;  // such a response is not stored
}

void check_url(const Selection& s, Bytes host, Bytes uri) {
    const std::string text(uri);
    http::check(s.accepted == 1 && s.count == 1);
    if (s.glob_count != 0) {
        http::check(glob_matches(s.glob[0].pattern, s.glob[0].pattern));
        return;
    }
    const bool is_prefix = text.size() > 2 && text.find('*') == text.size() - 1 && text[text.size() - 2] == '/' &&
                           text.find_first_of("?%") == std::string::npos;
    if (is_prefix) {
        const std::string below = text.substr(0, text.size() - 1);
        http::check(covers(s, host, below) && covers(s, host, below + "x") && covers(s, host, below + "x/y?z"));
    } else if (text.find_first_of("*%") == std::string::npos) {
        http::check(covers(s, host, uri));
        const size_t mark = text.find('?');
        const size_t first = text.find('&', mark == std::string::npos ? text.size() : mark);
        if (first != std::string::npos && mark < first) {
            http::check(covers(
                s, host,
                text.substr(0, mark + 1) + text.substr(first + 1) + "&" + text.substr(mark + 1, first - mark - 1)));
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::vector<http::Field> lines = http::lines_of(http::input(data, size), "");
    if (lines.size() < 4 || lines[3].value.empty() || lines[3].value[0] != '/') {
        return 0;
    }
    const Bytes method = lines[0].value;
    const Bytes uri = lines[3].value;
    (void) is_purge_method(method, lines[1].value);
    test::Memory memory(size % 4 == 3 ? size / 4 % 4 : static_cast<size_t>(-1));
    Selection s = test::selection_in(&memory);
    if (!make_room(&s, 64)) {
        return 0;
    }
    PurgeRequest purge{&s, method, size % 2 == 0, false, false, {}};
    FieldRead read = FieldRead::kFine;
    for (size_t i = 4; i < lines.size() && read == FieldRead::kFine; i++) {
        const Bytes line = lines[i].value;
        const size_t colon = line.find(':');
        read = read_purge_field(&purge, base::slice(line, 0, colon),
                                colon == Bytes::npos ? Bytes{} : base::slice(line, colon + 1));
    }
    test::check_selection(s);
    http::check((read == FieldRead::kRefused) == !purge.complaint.empty());
    if (read != FieldRead::kFine) {
        return 0;
    }
    Url understood;
    switch (purge_names(purge)) {
    case PurgeNames::kTags:
        http::check(!is_empty(s));
        break;
    case PurgeNames::kNothing:
        http::check(is_empty(s) && method == "PURGEKEYS");
        break;
    case PurgeNames::kUrl:
        if (select_own_url(&purge, lines[2].value, uri, &understood)) {
            if (!s.all && !purge.is_by_pattern) {
                check_url(s, lines[2].value, uri);
            }
        } else {
            http::check(is_empty(s));
        }
        break;
    }
    test::check_selection(s);
    return 0;
}
