// cache/key.h — cache keys and what a purge may name, as keyed hashes.
//
// What        A key is a list of fields, each with its length in front, so that no two different lists ever give the same
//             bytes. Its digest is 128 bits of XXH3 under the zone's secret; entries compare the full bytes as well.
//             A field may come in parts, and a part may be hidden: people see a short keyed hash in its place (cache/hidden.h).
//             | marks:2 length:14 | bytes | for each part; then, for slots and variants,
//             | 0xFFFE | slot:8 |, | 0xFFFF | length:16 spec | values | (http/vary.h), all of whose values are hidden.
//             Selectors are 64-bit fingerprints of what a purge may name: a URL, a host, a path prefix, a tag.
// Threading   pure functions of their arguments.
// Ownership   output goes to the caller's buffer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "shm/store.h"

namespace slab_cache::cache {

using base::Bytes;

inline constexpr size_t kSecretBytes = 192;
inline constexpr size_t kMaxKeyBytes = 16 * 1024;

// What the two highest bits of a length say. A key has 16 KB at most: no length needs them.
inline constexpr uint16_t kPartHidden = 0x4000;
inline constexpr uint16_t kPartGoesOn = 0x8000;  // the field of the part before goes on
inline constexpr size_t kMaxPartBytes =
    0x3FFD;  // no length with marks is 0xFFFE or 0xFFFF: these begin a slot, a variant

// Appends length-prefixed fields to a caller's buffer. Overflow is remembered, never written.
class KeyBuilder {
public:
    KeyBuilder(char* buffer, size_t capacity) noexcept : buffer_(buffer), capacity_(capacity) {}

    void add(Bytes field, uint16_t marks = 0) noexcept;
    bool overflowed() const noexcept { return overflowed_; }
    Bytes key() const noexcept { return {buffer_, size_}; }

    static constexpr size_t needed(size_t field_bytes) noexcept { return field_bytes + 2; }

private:
    char* buffer_;
    size_t capacity_;
    size_t size_ = 0;
    bool overflowed_ = false;
};

// One URL may have several objects that are not each other's (ngx/request/identity.h): all but the first lie under keys that end
// in a slot's number. No field is as long as its mark says; 0xFFFF begins a variant's part.
inline constexpr uint32_t kSlots = 8;
inline constexpr size_t kSlotBytes = 3;
// Behind `key`, which has room for kSlotBytes more. Returns the whole.
Bytes add_slot(char* key, size_t size, uint32_t slot) noexcept;

// Where the key of a variant goes on behind the primary key.
inline constexpr size_t kVariantMarkBytes = 4;
void put_variant_mark(char* out, size_t spec_bytes) noexcept;

// The fields of a key for people: "http|example.com|/path", of a variant "…|cookie=#7d1c03a9": nothing that a client sent
// to be told apart by. Returns the length that is needed; at most `capacity` bytes are written.
size_t printable_key(Bytes key, const uint8_t* secret, char* out, size_t capacity) noexcept;

// What is to be seen of a key without its values.
struct KeyShape {
    bool has_hidden = false;  // in the primary key
    bool is_variant = false;
};
KeyShape shape_of(Bytes key) noexcept;

shm::Digest digest(Bytes key, const uint8_t* secret) noexcept;

// What is known of an object beside itself lies under the object's own key, and another digest: one for each identity.
shm::Digest side_digest(const shm::Digest& object, uint64_t identity) noexcept;

// A URL as selectors see it. host: lower case, without port. path: percent-decoded, starting with '/'. args: the raw
// query without '?'. The order of arguments makes no difference to the fingerprint.
struct Url {
    Bytes host;
    Bytes path;
    Bytes args;
};

uint64_t url_selector(const Url& url, const uint8_t* secret) noexcept;
// The URL that rewrites and redirects made of a client's: apart from those of clients, so that an unsafe request to a front
// controller does not purge all that it answers.
uint64_t inner_url_selector(const Url& url, const uint8_t* secret) noexcept;
uint64_t host_selector(Bytes host, const uint8_t* secret) noexcept;
// `prefix` starts and ends with '/'. The prefix "/" is the whole host, and has the host's selector.
uint64_t prefix_selector(Bytes host, Bytes prefix, const uint8_t* secret) noexcept;
uint64_t tag_selector(Bytes tag, const uint8_t* secret) noexcept;
uint64_t group_selector(Bytes host, Bytes group, const uint8_t* secret) noexcept;  // RFC 9875: within one origin

// Of parts of a configuration: the same in every process and after every restart.
uint64_t stable_hash(Bytes part, uint64_t seed) noexcept;
// Of parts of a request, on top of `seed`.
uint64_t keyed_hash(Bytes part, uint64_t seed, const uint8_t* secret) noexcept;

// Of one URL. A path that is deeper costs more to take apart than its answer is worth.
inline constexpr uint32_t kMaxUrlSelectors = 128;

enum class Side : bool { kClients, kInner };

// All selectors of a URL: itself, its host, each directory prefix of its path.
// Returns their number, or 0 when they do not fit: such a response must not be stored.
uint32_t url_selectors(const Url& url, const uint8_t* secret, uint64_t* out, uint32_t capacity,
                       Side side = Side::kClients) noexcept;

}  // namespace slab_cache::cache
