// Lines are the fields of a key: no other list gives the same bytes, the printable form fits and is clean. The input itself
// as a key of a damaged zone; and as a URL: selectors fit or there are none, the order of arguments plays no part.
#include <string>

#include "cache/key.h"
#include "fuzz/fuzz.h"

using namespace slab_cache;
using namespace slab_cache::cache;

namespace {

constexpr uint8_t kSecret[kSecretBytes] = {1, 2, 3};

void check_printable(Bytes key) {
    for (const size_t cap : {size_t{0}, size_t{7}, key.size() + 1}) {
        std::vector<char> out(cap);
        const size_t needed = printable_key(key, kSecret, out.data(), cap);
        const size_t n = needed < cap ? needed : cap;
        for (size_t i = 0; i < n; i++) {
            http::check(static_cast<unsigned char>(out[i]) >= 0x20 && out[i] != 0x7F);
        }
    }
}

// Reads the fields back: what can be read back is like no other list.
void check_fields(const std::vector<http::Field>& fields, size_t size) {
    std::vector<char> buffer(size + fields.size() + 1);  // two bytes per field, but no line feeds
    KeyBuilder builder(buffer.data(), buffer.size());
    for (const http::Field& f : fields) {
        builder.add(f.value);
    }
    http::check(!builder.overflowed());
    Bytes rest = builder.key();
    check_printable(rest);
    for (const http::Field& f : fields) {
        const size_t n =
            static_cast<size_t>(static_cast<unsigned char>(rest[0])) << 8 | static_cast<unsigned char>(rest[1]);
        http::check(base::slice(rest, 2, n) == f.value);
        rest = base::slice(rest, 2 + n);
    }
    http::check(rest.empty());
    std::vector<char> less(buffer.size() - 1);
    KeyBuilder tight(less.data(), less.size());
    for (const http::Field& f : fields) {
        tight.add(f.value);
    }
    http::check(tight.overflowed() && tight.key().size() <= less.size());
}

void check_selectors(Bytes text) {
    const size_t mark = text.find('?');
    Url url{"host", base::slice(text, 0, mark), mark == Bytes::npos ? Bytes{} : base::slice(text, mark + 1)};
    uint64_t selector[kMaxUrlSelectors];
    for (const uint32_t cap : {0u, 1u, 3u, kMaxUrlSelectors}) {
        const uint32_t n = url_selectors(url, kSecret, selector, cap);
        http::check(n <= cap);
        for (uint32_t i = 0; i < n; i++) {
            http::check(selector[i] != 0);
        }
    }
    const size_t first = url.args.find('&');
    if (first != Bytes::npos) {
        const std::string turned =
            std::string(base::slice(url.args, first + 1)) + "&" + std::string(base::slice(url.args, 0, first));
        http::check(url_selector({url.host, url.path, turned}, kSecret) == url_selector(url, kSecret));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Bytes text = http::input(data, size);
    check_fields(http::lines_of(text, ""), size);
    check_printable(text);
    check_selectors(text);
    (void) digest(text, kSecret);
    return 0;
}
