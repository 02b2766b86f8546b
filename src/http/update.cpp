#include "http/update.h"

#include "http/storable.h"
#include "http/syntax.h"
#include "http/validator.h"

namespace slab_cache::http {

namespace {

bool is_named_by_connection(Bytes name, const Fields& fields) noexcept {
    for (const Field& line : fields.lines("Connection")) {
        if (list_has(line.value, name)) {
            return true;
        }
    }
    return false;
}

}  // namespace

bool is_updatable_field(Bytes name, const Fields& update, const Policy& policy) noexcept {
    constexpr Bytes kOfTheBody[] = {"Content-Length", "Content-Encoding", "Content-Type", "Content-Range"};
    for (const Bytes known : kOfTheBody) {
        if (base::equal_nocase(known, name)) {
            return false;
        }
    }
    if (base::equal_nocase(name, "Set-Cookie") && set_cookie_mode(policy) != SetCookie::kStore) {
        return false;
    }
    return !is_named_by_connection(name, update) && !is_hop_by_hop(name);
}

bool is_update_of(Bytes stored_etag, const Fields& update) noexcept {
    const Bytes tag = trim(update.get("ETag"));
    return stored_etag.empty() || tag.empty() || weak_equal(stored_etag, tag);
}

bool is_for_asker(Bytes name, const Fields& update, const Fields& result, const Policy& policy) noexcept {
    if (base::equal_nocase(name, "Set-Cookie")) {
        return set_cookie_mode(policy) != SetCookie::kStore && !is_named_by_connection(name, update);
    }
    return is_updatable_field(name, update, policy) && is_storable_field(name, Bytes{}) &&
           !is_storable_field(name, result, policy);
}

// Age and Date describe one message: the old ones say nothing about a response that was confirmed
// just now.
bool MergedFields::keeps(const Field& stored) const noexcept {
    if (base::equal_nocase(stored.name, "Age") || base::equal_nocase(stored.name, "Date")) {
        return false;
    }
    return !update_.has(stored.name) || !is_updatable_field(stored.name, update_, policy_);
}

bool MergedFields::next(Field* field) noexcept {
    while (at_ < stored_.size + update_.size) {
        const bool is_stored = at_ < stored_.size;
        const Field& line = is_stored ? stored_.data[at_] : update_.data[at_ - stored_.size];
        at_++;
        if (is_stored ? keeps(line) : is_updatable_field(line.name, update_, policy_)) {
            *field = line;
            return true;
        }
    }
    return false;
}

}  // namespace slab_cache::http
