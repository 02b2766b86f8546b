// What lies in the store, written by anybody. What is read of it is a message that can be written again, and is then read as the
// same; nothing that is between its writer and us is among its fields, and no line of a head can be taken for two.
#include <memory>
#include <string>
#include <vector>

#include "cache/tier_value.h"
#include "fuzz/fuzz.h"

using namespace slab_cache;
using namespace slab_cache::cache;

namespace {

constexpr int64_t kNow = 1800000000;

struct Read {
    std::unique_ptr<TierValue> value = std::make_unique<TierValue>();
    ValueFault fault;

    explicit Read(Bytes bytes) { fault = read_tier_value(bytes, kNow, value.get()); }
};

void look(const TierValue& v, Bytes whole) {
    http::check(v.status >= 200 && v.status <= 599);
    http::check(http::is_inside(v.body, whole) && (v.body.empty() || v.body.end() == whole.end()));
    http::check(v.fields_used <= kMaxTierFields + 1 && v.specs <= kMaxTierSpecs);
    for (const http::Field& f : v.fields()) {
        http::check(!f.name.empty() && f.name.find_first_of(" \t\r\n:") == Bytes::npos);
        http::check(f.value.find_first_of(Bytes("\r\n\0", 3)) == Bytes::npos);
        http::check(!base::equal_nocase(base::slice(f.name, 0, 5), "Slab-"));
        http::check(!base::equal_nocase(f.name, "Content-Length"));
        http::check(v.fields().has(f.name));
    }
}

// As a fill would store it, and write it back.
std::string written_again(const TierValue& v) {
    std::vector<char> buffer(4 * kMaxTierHead);
    HeadBuilder builder(buffer.data(), buffer.size());
    for (const http::Field& f : v.fields()) {
        builder.add(f.name, f.value);
    }
    StoredResponse response;
    if (!builder.finish(v.status, -1, {}) || !decode_head(builder.head(), &response)) {
        return {};
    }
    TierHead head;
    head.response = &response;
    head.key = v.key.empty() ? Bytes("http://h/") : v.key;
    head.identity = v.identity;
    head.position = v.position;
    std::string text(write_tier_head(head, nullptr, 0), '\0');
    http::check(!text.empty() && write_tier_head(head, text.data(), text.size()) == text.size());
    return text.append(v.body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Bytes bytes = http::input(data, size);
    const Read first(bytes);
    if (first.fault != ValueFault::kNone) {
        return 0;
    }
    look(*first.value, bytes);
    const std::string again = written_again(*first.value);
    if (again.empty()) {  // a field is longer than a stored head can have
        return 0;
    }
    const Read second(again);
    if (second.fault == ValueFault::kTooLarge) {  // by the line ends, or by the key
        return 0;
    }
    http::check(second.fault == ValueFault::kNone);
    http::check(second.value->body == first.value->body && second.value->status == first.value->status);
    http::check(second.value->position == first.value->position);
    http::check(second.value->fields_used == first.value->fields_used);
    for (uint32_t i = 0; i < first.value->fields_used; i++) {
        http::check(second.value->field[i].name == first.value->field[i].name);
        http::check(second.value->field[i].value == first.value->field[i].value);
    }
    return 0;
}
