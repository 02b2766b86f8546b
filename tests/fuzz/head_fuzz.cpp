// The head of an entry, as a damaged zone holds it: a response, or a variants' marker. What decodes is encoded again and
// decodes to the same.
#include <vector>

#include "fuzz/stored_head.h"

using namespace slab_cache;
using namespace slab_cache::cache;

namespace {

void encode_response(Bytes head) {
    StoredResponse stored;
    if (!decode_head(head, &stored)) {
        return;
    }
    std::vector<char> buffer(2 * head.size() + 64);
    HeadBuilder builder(buffer.data(), buffer.size());
    Bytes rest = stored.fields;
    bool is_ours = true;  // what HeadBuilder would have written, not only what can be read
    for (StoredField field; next_field(&rest, &field);) {
        is_ours = is_ours && !field.name.empty();
        builder.add(field.name, field.value);
    }
    if (!builder.finish(stored.status, stored.last_modified_time, stored.facts)) {
        http::check(!is_ours);
        return;
    }
    StoredResponse again;
    http::check(decode_head(builder.head(), &again) && again.status == stored.status &&
                again.field_count == stored.field_count && again.last_modified_time == stored.last_modified_time &&
                again.facts.fresh_until == stored.facts.fresh_until && again.facts.born_at == stored.facts.born_at);
    Bytes a = stored.fields;
    Bytes b = again.fields;
    StoredField one, two;
    while (next_field(&a, &one)) {
        http::check(next_field(&b, &two) && one.name == two.name && one.value == two.value);
    }
    std::vector<char> tight(builder.head().size() - 1);
    HeadBuilder cut(tight.data(), tight.size());
    rest = stored.fields;
    for (StoredField field; next_field(&rest, &field);) {
        cut.add(field.name, field.value);
    }
    http::check(!cut.finish(stored.status, stored.last_modified_time, stored.facts));
}

void encode_marker_again(Bytes head, uint32_t max) {
    Marker old;
    if (!decode_marker(head, &old)) {
        old = {};
    }
    const shm::Digest digest{7, 8};
    std::vector<char> buffer(head.size() + 64);
    Dropped dropped;
    const size_t n = encode_marker(old, "accept-encoding", digest, max, buffer.data(), buffer.size(), &dropped);
    http::check(n <= buffer.size() && dropped.count <= kMaxVariants && (n != 0) == (max != 0));
    if (n == 0) {
        return;
    }
    Marker marker;
    http::check(decode_marker({buffer.data(), n}, &marker) && marker_knows(marker, "accept-encoding", digest) &&
                marker.variant_count <= max);
    Dropped none;
    std::vector<char> tight(n - 1);
    http::check(encode_marker(old, "accept-encoding", digest, max, tight.data(), tight.size(), &none) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1) {
        return 0;
    }
    // An exact copy, for AddressSanitizer.
    const std::vector<char> copy(data + 1, data + size);
    const Bytes head{copy.data(), copy.size()};
    (void) test::read_head(head);
    (void) test::read_marker(head);
    encode_response(head);
    encode_marker_again(head, data[0]);
    return 0;
}
