// Two bytes of choices, then a query with url=, as the API gets it. What parses has a host and a path that a client could
// have sent; written out and read again it has the same key and the same selector.
#include <string>

#include "cache/url.h"
#include "fuzz/fuzz.h"
#include "http/escape.h"
#include "support/memory.h"

using namespace slab_cache;
using namespace slab_cache::cache;

namespace {

constexpr uint8_t kSecret[kSecretBytes] = {1, 2, 3};

void check_text(Bytes text) {
    for (char c : text) {
        http::check(!http::needs_escape(c));
    }
}

void check_target(const Target& t, const base::Arena& arena, const Asker& asker) {
    http::check(t.scheme == "http" || t.scheme == "https");
    http::check(!t.url.host.empty() && base::starts_with(t.authority, t.url.host));
    http::check(!t.uri.empty() && t.uri[0] == '/' && t.uri.find('#') == Bytes::npos);
    http::check(!t.url.path.empty() && t.url.path[0] == '/' && t.url.path.size() <= t.uri.size());
    check_text(t.authority);
    check_text(t.uri);
    const std::string whole = std::string(t.scheme) + "://" + std::string(t.authority) + std::string(t.uri);
    Target again;
    // A Host that no URL can name is left to the request that sent it; of several ports the last counts.
    const bool is_plain = t.authority.find_first_of("/?#") == Bytes::npos && t.url.host.find(':') == Bytes::npos;
    if (whole.size() > kMaxUrlBytes || !is_plain) {
        return;
    }
    http::check(parse_target(arena, asker, whole, &again) && again.uri == t.uri);
    http::check(url_selector(again.url, kSecret) == url_selector(t.url, kSecret));
    http::check(default_key_of(arena, again) == default_key_of(arena, t));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) {
        return 0;
    }
    const Bytes query = http::input(data + 2, size - 2);
    test::Memory memory(data[0] < 8 ? data[0] : static_cast<size_t>(-1));
    const base::Arena arena = memory.arena();
    Bytes raw;
    const bool found = http::find_argument(query, "url", &raw);
    http::check(!found || http::is_inside(raw, query));
    const Bytes text = found ? raw : query;
    std::string url(text.size(), '\0');
    url.resize(http::unescape(text, url.data()));
    const Asker asker{(data[1] & 1) != 0, (data[1] & 2) != 0 ? Bytes("Asker.example:81") : query};
    Target target;
    if (!parse_target(arena, asker, url, &target)) {
        return 0;
    }
    const Bytes key = default_key_of(arena, target);
    http::check(key.size() <= kMaxKeyBytes);
    test::Memory more;
    check_target(target, more.arena(), asker);
    return 0;
}
