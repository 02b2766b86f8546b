// Dictionaries and lists: views stay inside the input, failure is final, a member that parses alone
// parses twice.
#include "fuzz/fuzz.h"
#include "http/cache_control.h"
#include "http/structured.h"

using namespace slab_cache::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text = input(data, size);
    StructuredReader dictionary(text);
    for (Item item; dictionary.next_dictionary_member(&item);) {
        check(!item.key.empty() && is_inside(item.key, text) && is_inside(item.text, text));
    }
    Item item;
    check(!dictionary.next_dictionary_member(&item));
    StructuredReader list(text);
    while (list.next_list_member(&item)) {
        check(is_inside(item.text, text));
    }
    const Field lines[] = {{"CDN-Cache-Control", text}, {"cdn-cache-control", text}};
    const bool once = parse_cdn_cache_control({lines, 1}).present;
    check(once == parse_cdn_cache_control({lines, 2}).present);
    return 0;
}
