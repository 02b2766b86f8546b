// Tags, groups and references: pieces lie inside the input and hold no separator; what resolves is
// a path.
#include "fuzz/fuzz.h"
#include "http/invalidate.h"
#include "http/tags.h"
#include "http/validator.h"

using namespace slab_cache::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text = input(data, size);
    TagReader tags(text);
    for (Bytes tag; tags.next(&tag);) {
        check(!tag.empty() && is_inside(tag, text));
        check(tag.find_first_of(" \t,") == std::string_view::npos);
    }
    const std::vector<Field> lines = lines_of(text, kCacheGroups);
    GroupReader groups({lines.data(), lines.size()}, kCacheGroups);
    for (Bytes group; groups.next(&group);) {
        check(is_inside(group, text));
    }
    const TargetUri target{"http", "h", "/a/b/c?d"};
    std::vector<char> buffer(size + target.path.size() + 1);
    Bytes path;
    if (resolve_same_origin(text, target, buffer.data(), buffer.size(), &path)) {
        check(!path.empty() && path[0] == '/' && path.find('#') == std::string_view::npos);
    }
    const Field condition[] = {{"If-None-Match", text}};
    (void) evaluate_preconditions({condition, 1}, Method::kGet, 200, {text, text, 0}, 0);
    return 0;
}
